"""Bugs in how officers' orders are carried out (protocol §8.7), found by schedules in which hosts forge some."""

from typing import Final

from sojourn.core.agent.orders import SignedOrder
from tests.planted.plant import Plant, in_place_of, nothing
from tests.planted.vehicles import Schedules

__all__ = ["PLANTS"]

PLANTS: Final = (
    Plant(
        "order-of-anybody",
        0,
        "an anchor does not look at who has sealed an order",
        Schedules("orders"),
        "nothing unordered",
        in_place_of(SignedOrder, "check", nothing),
    ),
)
