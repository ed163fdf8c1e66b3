"""Bugs in what revocations stop, and whose word counts (§4 check 9, §8.12)."""

from collections.abc import Callable
from typing import Any, Final

from sojourn.anchor import answers
from sojourn.core.agent.revocations import Revocation, SignedRevocation
from sojourn.core.protocol import anchor, heard
from sojourn.core.protocol.revocations import KnownRevocations
from tests.planted.plant import Plant, Planting, in_place_of, instead, nothing
from tests.planted.vehicles import Test

__all__ = ["PLANTS"]

_RULINGS: Final = "core/protocol/test_revoked.py::"


def plant(name: str, fault: str, node: str, planted: Planting) -> Plant:
    """Return a plant that one test notices."""
    return Plant(name, 0, fault, Test(f"tests/unit/{node}"), "fails", planted)


def _whoever_sealed(right: Callable[..., bool]) -> Callable[..., bool]:
    return lambda signed, keys, needed: right(signed, [s.signer for s in signed.seals], needed)


def _any_issuers(_right: Any) -> Any:
    """Let what anybody said of a subject be the issuer's word."""

    def of(known: KnownRevocations, _reach: Any, _by: bytes, *what: Any) -> list[SignedRevocation]:
        every = known.lacking_in(())
        return [s for s in every if (s.revocation.about, s.revocation.subject) == what]

    return of


PLANTS: Final = (
    plant(
        "revoked-code-acts",
        "what was revoked is acted on all the same",
        "testing/test_revoking.py::"
        "test_section_8_12_all_agents_of_an_issuer_stop_wherever_they_are_and_go_on_when_it_is_lifted[code]",
        in_place_of(heard, "check_unrevoked", nothing),
    ),
    plant(
        "revoked-host-keeps-its-lease",
        "the lease of a host that was revoked is renewed",
        "testing/test_revoking.py::test_section_8_12_an_agent_leaves_a_revoked_host_for_another_of_its_zone",
        in_place_of(answers, "is_stopped", lambda *_: False),
    ),
    plant(
        "welcomes-the-revoked",
        "a visa is given for what was revoked",
        f"{_RULINGS}test_section_5_a_host_that_its_zone_revoked_is_no_reason_to_come",
        in_place_of(anchor, "why_revoked", lambda *_: ""),
    ),
    plant(
        "anybody-revokes",
        "seals of enough keys revoke, whoever's they are",
        f"{_RULINGS}test_section_8_12_nobody_else_has_a_say",
        instead(SignedRevocation, "_is_of", _whoever_sealed),
    ),
    plant(
        "any-issuers-word",
        "an issuer's revocation counts for agents of others",
        f"{_RULINGS}test_section_8_12_nobody_else_has_a_say",
        instead(KnownRevocations, "of", _any_issuers),
    ),
    plant(
        "lapses-at-once",
        "a revocation is over as soon as it is issued",
        f"{_RULINGS}test_section_4_check_9_what_was_revoked_is_relied_on_for_nothing",
        in_place_of(Revocation, "holds_at", lambda *_: False),
    ),
)
