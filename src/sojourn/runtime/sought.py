"""What place an agent waits for, as data: its price and what it has to give, held against what hosts state."""

from typing import Annotated, Final

from msgspec import Meta

from sojourn.core.agent.capabilities import Offer
from sojourn.core.base.encoding import Count, Name, Value
from sojourn.core.protocol.assessment import Assessment

__all__ = ["MODELS_MAX", "NAME_CHARS_MAX", "Sought"]

NAME_CHARS_MAX: Final = 128
MODELS_MAX: Final = 32

ZoneName = Annotated[str, Meta(max_length=NAME_CHARS_MAX)]


class Sought(Value):
    """A place that an agent waits for: all that is said must be so, at one host there.

    `zone` is its name, "" for any. `price_micros_below` is per hour, in millionths of the currency unit. The others
    are the least that is free. Unless `is_any`, the agent must be eligible there, as `ctx.consider` judges it.
    """

    zone: ZoneName = ""
    price_micros_below: Count | None = None
    slots: Count = 0
    cpu_millis: Count = 0
    memory_mib: Count = 0
    gpus: Count = 0
    models: Annotated[tuple[Name, ...], Meta(max_length=MODELS_MAX)] = ()
    is_any: bool = False

    def fits(self, zone: str, offer: Offer, price_micros: int) -> bool:
        """Tell whether what a host of a zone states is what is sought."""
        is_cheap = self.price_micros_below is None or price_micros < self.price_micros_below
        is_enough = (
            offer.slots >= self.slots
            and offer.cpu_millis >= self.cpu_millis
            and offer.memory_mib >= self.memory_mib
            and offer.gpus >= self.gpus
        )
        has_models = set(self.models) <= set(offer.models)
        return self.zone in ("", zone) and is_cheap and is_enough and has_models

    def admits(self, place: Assessment) -> bool:
        """Tell whether the agent's judgement of the place is as is sought."""
        return self.is_any or place.eligible
