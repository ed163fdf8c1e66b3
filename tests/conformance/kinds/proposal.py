"""Proposals: a transition under its author's seal, with evidence beside it."""

from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import TRANSITION_BYTES_MAX
from sojourn.core.base.seals import Kind as SealKind
from sojourn.core.base.seals import Role, check_seal
from sojourn.core.protocol.messages import Evidence, Proposal
from tests.conformance import journey
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.journey import HOME
from tests.conformance.spoiled import fields_of, spoiled, with_fields
from tests.samples import seal

STEP: Final = journey.STEP
HOST, OTHER = HOME.hosts
AT: Final = "proposal"


def _check(data: bytes, given: Json) -> Json:
    proposal = decode(data, Proposal, what=AT, limit=TRANSITION_BYTES_MAX)
    transition, role = proposal.transition, Role(given["role"])
    if transition.author not in {each.signer for each in proposal.seals}:
        raise Rejected(
            "its author did not seal it", reason="wrong-author", where="transition.author"
        )
    for index, each in enumerate(proposal.seals):
        check_seal(SealKind.TRANSITION, role, transition.digest, each, where=f"seals[{index}]")
    evidence = proposal.evidence
    shown = [name for name in Evidence.__struct_fields__ if getattr(evidence, name)]
    return {
        "value": transition.digest.hex(),
        "kind": str(transition.kind),
        "author": transition.author.hex(),
        "evidence": shown,
    }


def _valid() -> Iterator[Case]:
    yield Case(name="a step", data=encode(STEP))
    issuer = {"role": str(Role.ISSUER)}
    yield Case(name="a launch, with its policies", data=encode(journey.GENESIS), given=issuer)
    shown = encode(journey.FORK)
    yield Case(name="a fork, with what it goes on from, and the newest", data=shown, given=issuer)
    yield Case(name="an admission, with departure and visa", data=encode(journey.ADMISSION))
    stripped = replace(journey.ADMISSION, evidence=Evidence())
    note = "evidence is no part of the value: the digest is that of the case before"
    yield Case(name="the same without its evidence", data=encode(stripped), note=note)


def _invalid() -> Iterator[Case]:
    named = STEP.transition.digest
    own = STEP.seals[0]
    untrue: dict[str, tuple[Proposal, str, str]] = {
        "no seal": (replace(STEP, seals=()), "wrong-author", "transition.author"),
        "another host's seal": (
            replace(STEP, seals=(seal(OTHER, SealKind.TRANSITION, Role.HOST, named),)),
            "wrong-author",
            "transition.author",
        ),
        "sealed as an anchor": (
            replace(STEP, seals=(seal(HOST, SealKind.TRANSITION, Role.ANCHOR, named),)),
            "bad-signature",
            "seals[0]",
        ),
        "sealed as a vote": (
            replace(STEP, seals=(seal(HOST, SealKind.VOTE, Role.HOST, named),)),
            "bad-signature",
            "seals[0]",
        ),
        "a forged seal beside the author's": (
            replace(STEP, seals=(own, replace(own, signer=OTHER.public))),
            "bad-signature",
            "seals[1]",
        ),
        "another time than was sealed": (
            replace(STEP, transition=replace(STEP.transition, at_ms=1)),
            "bad-signature",
            "seals[0]",
        ),
        "another record than was sealed": (
            replace(STEP, transition=replace(STEP.transition, record=journey.BOUND.record)),
            "bad-signature",
            "seals[0]",
        ),
        "in another author's name": (
            replace(STEP, transition=replace(STEP.transition, author=OTHER.public)),
            "wrong-author",
            "transition.author",
        ),
    }
    for name, (made, reason, where) in untrue.items():
        yield Case(name=name, data=encode(made), expect={"reason": reason, "where": where})
    plain = fields_of(STEP)
    evidence, transition = plain["evidence"], plain["transition"]
    wrong: dict[str, tuple[dict[str, Any], str, str]] = {
        "evidence of its own invention": (
            {"evidence": evidence | {"alibi": 1}},
            "unknown-field",
            ".evidence",
        ),
        "a departure that is a step": (
            {"evidence": evidence | {"departure": transition}},
            "unknown-field",
            ".evidence.departure",
        ),
        "65 documents": (
            {"evidence": evidence | {"documents": [{}] * 65}},
            "bad-field",
            ".evidence.documents",
        ),
        "a transition of a later version": (
            {"transition": transition | {"form": "transition/2"}},
            "wrong-kind",
            ".transition.form",
        ),
    }
    for name, (changes, reason, where) in wrong.items():
        expect = {"reason": reason, "where": f"{AT}{where}"}
        yield Case(name=name, data=with_fields(STEP, changes), expect=expect)
    yield from spoiled(STEP, TRANSITION_BYTES_MAX, where=AT)


KIND = Kind(
    name="proposal",
    about="bytes: a Proposal. given.role: as what its author must have sealed it. expect.value: the digest of "
    "the transition, which is voted on; expect.evidence: what is shown beside it, which proves itself or "
    "nothing, and is judged elsewhere.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
    given={"role": str(Role.HOST)},
)
