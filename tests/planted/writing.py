"""Bugs in how agents write to each other (protocol §10.26): each is noticed by one test."""

from functools import cached_property
from typing import Any, Final

from sojourn.anchor import returning
from sojourn.core.base.encoding import digest_of
from sojourn.core.protocol import letters
from sojourn.core.protocol.letters import Letter
from sojourn.host import inbox
from sojourn.host.inbox import Inbox
from sojourn.host.outbox import Outbox
from sojourn.host.querying import Querying
from tests.planted.plant import Plant, Planting, all_of, in_place_of, nothing
from tests.planted.vehicles import Schedules, Test

__all__ = ["PLANTS"]


def plant(name: str, fault: str, node: str, planted: Planting) -> Plant:
    """Return a plant that one test notices."""
    return Plant(name, 0, fault, Test(f"tests/unit/{node}"), "fails", planted)


def _whole(letter: Letter) -> bytes:
    """Return another digest for each certificate under which a letter comes."""
    return digest_of([letter.final.certificate, letter.intent])


_CHANGED: Final = cached_property(_whole)
_CHANGED.__set_name__(Letter, "digest")


async def _never(*_args: Any) -> bool:
    return False


async def _nothing_came_before(*_args: Any) -> int:
    return 0


PLANTS: Final = (
    plant(
        "letter-under-another-digest",
        "a letter that is certified by other anchors is taken for another one, and nobody looks at versions",
        "host/test_letters.py::test_section_10_26_one_letter_under_two_certificates_is_taken_once",
        all_of(
            in_place_of(Letter, "digest", _CHANGED),
            in_place_of(Letter, "check", lambda *_args, **_named: None),
            in_place_of(inbox, "_version_of", lambda *_: 0),
            in_place_of(Inbox, "_is_overtaken", _never),
        ),
    ),
    plant(
        "letter-out-of-order",
        "a letter does not say which one came before it",
        "host/test_letters.py::test_section_10_26_a_letter_waits_for_the_one_before_it",
        in_place_of(Outbox, "newest", _nothing_came_before),
    ),
    Plant(
        "letter-of-other-words",
        0,
        "an anchor does not look at whether the intent is to say that",
        Schedules("letters"),
        "no letter unsent",
        in_place_of(Letter, "check", nothing),
    ),
    Plant(
        "letter-under-any-certificate",
        0,
        "an anchor of another zone does not look at what certifies the sender's record",
        Schedules("letters"),
        "no letter unsent",
        in_place_of(letters, "check_head", nothing),
    ),
    plant(
        "unread-though-read",
        "an anchor that kept what was read tells its sender that it was not",
        "testing/test_unread.py::test_section_10_38_an_anchor_that_missed_what_was_read_tells_nobody",
        in_place_of(returning, "was_read", lambda *_: False),
    ),
    plant(
        "told-to-anybody",
        "what an agent remembers is told to whoever asks",
        "testing/test_queries.py::test_section_10_36_policies_say_who_may_ask_and_what_it_may_read",
        in_place_of(Querying, "_check_disclosed", _never),
    ),
)
