"""What an agent asks people, and their answers: read from its record, journal and policies, and given to its zone."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from sojourn.cli.carrying import carry
from sojourn.cli.choosing import chosen
from sojourn.cli.finding import Found, find_named
from sojourn.cli.governing import read_documents
from sojourn.cli.home import Home
from sojourn.cli.journal_lines import newest_records, spoken
from sojourn.cli.reach import ASK_TIMEOUT_S, Reach
from sojourn.cli.remote_blocks import RemoteBlocks
from sojourn.core.agent.approvals import Approval, Petition, SignedApproval, Turn
from sojourn.core.agent.governance import Governing
from sojourn.core.base.digests import cid_text, digest
from sojourn.core.base.encoding import digest_of, encode_block
from sojourn.core.base.errors import Refused, SojournError, Unreachable
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.core.base.seals import Kind, sealed_by
from sojourn.core.policy.memo import Memo
from sojourn.core.protocol.asking import turns_of, verdict_on
from sojourn.core.protocol.exchange import AnyReply, Approvals, AskApprovals
from sojourn.core.protocol.messages import Applied, Declined, PutApproval
from sojourn.runtime.clients.zone_client import Stalled
from sojourn.runtime.processes import clock
from sojourn.runtime.records import Asked

__all__ = ["AnswerShown", "Answered", "GroupShown", "PetitionShown", "answer", "read_petitions"]

_PAUSE_S: Final = 0.2
"""An agent that moves meanwhile is looked for again."""


class GroupShown(msgspec.Struct, frozen=True):
    """Who may answer, from when to when (milliseconds since 1970), and how many of them it takes to approve.

    `keys` are hexadecimal, `people` their names here, where they have one, or else fingerprints.
    """

    name: str
    needed: int
    keys: tuple[str, ...]
    people: tuple[str, ...]
    from_ms: int
    until_ms: int


class AnswerShown(msgspec.Struct, frozen=True):
    """What somebody answered. `approver` is a key in hexadecimal."""

    approver: str
    is_approved: bool
    reason: str
    issued_ms: int


class PetitionShown(msgspec.Struct, frozen=True, kw_only=True):
    """An action that waits for an approval: everything its approvers have to know.

    `arguments` are [positional, named] of the step. `rules` are those that ask, as text, and `said` is what the
    policies say in whole, as evaluated here and now. Times are milliseconds since 1970.
    """

    petition: str
    step: str
    action: str
    effect: str
    arguments: Any
    labels: tuple[str, ...]
    cost_micros: int
    tokens: int
    secrets: tuple[str, ...]
    rules: tuple[str, ...]
    said: str
    groups: tuple[GroupShown, ...]
    answers: tuple[AnswerShown, ...]
    asked_ms: int
    expires_ms: int


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that `anchors` of the anchors of the agent's zone keep, until the petition is settled."""

    agent: str
    petition: str
    action: str
    is_approved: bool
    approver: str
    zone: str
    anchors: int


async def read_petitions(reach: Reach, home: Home, name: str) -> list[PetitionShown]:
    """Return what the agent with a local name waits for an approval of, oldest first. Raises as `find`."""
    found = await find_named(reach, home, name)
    asked = await _pending(reach, found)
    if not asked:
        return []
    governance = found.record.governance
    documents = await read_documents(reach, found, governance.named)
    governing = governance.governing(documents, clock.wall_ms())
    answers = await _answers(reach, found)
    names = {home.public_key(each): each for each in home.public_key_names()}
    return [_shown(each, found, governing, answers, names) for each in asked]


async def _pending(reach: Reach, found: Found) -> list[Asked]:
    """Return the journal's records of the pending petitions, which the certified record names by digest."""
    wanted = [each.petition for each in found.record.eligibility.petitions]
    blocks = RemoteBlocks()
    blocks.ask(reach.zone(found.zone))
    asked: dict[bytes, Asked] = {}
    async for record in newest_records(blocks, found.record.memory.journal):
        if len(asked) == len(wanted):
            break
        if isinstance(record, Asked) and _is_sound(record):
            asked |= {named: record for named in wanted if named == digest_of(record.petition)}
    return [asked[named] for named in wanted if named in asked]


def _is_sound(asked: Asked) -> bool:
    """Tell whether the arguments that the journal spells out are those that the petition is about."""
    return digest(encode_block(asked.spelled)) == asked.petition.arguments


async def _answers(reach: Reach, found: Found) -> list[SignedApproval]:
    ask = AskApprovals(agent=found.record.agent_id)
    replies = await reach.zone(found.zone).ask_all(ask, Approvals, timeout_s=ASK_TIMEOUT_S)
    known = {digest_of(each): each for reply in replies.values() for each in reply.approvals}
    return sorted(known.values(), key=lambda each: each.approval.issued_ms)


def _shown(
    asked: Asked,
    found: Found,
    governing: Governing,
    answers: Sequence[SignedApproval],
    names: dict[bytes, str],
) -> PetitionShown:
    petition, named = asked.petition, digest_of(asked.petition)
    verdict = verdict_on(petition, found.record, governing, found.zone, Memo())
    rules = (f"{rule.title}: {rule.text}" for asking in verdict.asking for rule in asking.rules)
    return PetitionShown(
        petition=named.hex(),
        step=petition.step,
        action=petition.action,
        effect=petition.effect,
        arguments=spoken(asked.spelled),
        labels=petition.labels,
        cost_micros=petition.cost_micros,
        tokens=petition.tokens,
        secrets=petition.secrets,
        rules=tuple(dict.fromkeys(rules)),
        said=verdict.explain(),
        groups=tuple(_group(turn, names) for turn in turns_of(petition, governing)),
        answers=tuple(
            AnswerShown(a.approver.hex(), a.is_approved, a.reason, a.issued_ms)
            for a in (each.approval for each in answers)
            if a.petition == named
        ),
        asked_ms=petition.asked_ms,
        expires_ms=petition.expires_ms,
    )


def _group(turn: Turn, names: dict[bytes, str]) -> GroupShown:
    group = turn.approvers
    return GroupShown(
        name=turn.group,
        needed=group.needed,
        keys=tuple(key.hex() for key in group.keys),
        people=tuple(names.get(key, key_text(key)) for key in group.keys),
        from_ms=turn.from_ms,
        until_ms=turn.until_ms,
    )


# --- answering ---------------------------------------------------------------------------------------


async def answer(
    reach: Reach,
    home: Home,
    name: str,
    which: str | None,
    approver: KeyPair,
    *,
    is_approved: bool,
    reason: str,
) -> Answered:
    """Answer what the agent with a local name asks. `which` begins the petition's name; None: there is only one.

    Raises `Misused` if there is no such petition, or another too; `Refused` if more than f anchors decline the
    answer, by somebody who has no say for instance; `Unreachable` if too few answer. Else as `find`.
    """
    found = await find_named(reach, home, name)
    asked = [each.petition for each in await _pending(reach, found)]
    petition = chosen(asked, digest_of, which, name, "petition")
    signed = _signed(petition, approver, is_approved=is_approved, reason=reason)
    put = PutApproval(petition=petition, approval=signed)

    async def once(found: Found) -> Answered:
        return _told(put, found, await _put(reach, found, put))

    try:
        return await carry(reach, home, name, once)
    except Stalled as stalled:
        raise Unreachable(stalled.problem, remedy="Answer again when it has arrived") from None


def _told(put: PutApproval, found: Found, anchors: int) -> Answered:
    answer = put.approval.approval
    return Answered(
        agent=cid_text(answer.agent),
        petition=answer.petition.hex(),
        action=put.petition.action,
        is_approved=answer.is_approved,
        approver=answer.approver.hex(),
        zone=found.zone.name,
        anchors=anchors,
    )


def _signed(
    petition: Petition, approver: KeyPair, *, is_approved: bool, reason: str
) -> SignedApproval:
    said = Approval(
        agent=petition.agent,
        petition=digest_of(petition),
        approver=approver.public,
        is_approved=is_approved,
        issued_ms=clock.wall_ms(),
        expires_ms=petition.expires_ms,
        reason=reason,
    )
    return SignedApproval(approval=said, seal=sealed_by(approver, Kind.APPROVAL, digest_of(said)))


async def _put(reach: Reach, found: Found, put: PutApproval) -> int:
    """Return how many anchors keep an answer. Raises `Stalled` if the agent has gone on.

    An answer may be made use of before the last anchor has it, which then says that nothing is pending.
    """
    client = reach.zone(found.zone)
    calls = (client.call(anchor, put) for anchor in range(client.n))
    replies: list[AnyReply | BaseException] = await asyncio.gather(*calls, return_exceptions=True)
    took = sum(isinstance(reply, Applied) for reply in replies)
    declined = [reply for reply in replies if isinstance(reply, Declined)]
    passing = [reply for reply in declined if reply.for_now]
    if took > found.zone.f or (took and took + len(passing) > found.zone.f):
        return took
    if len(declined) > found.zone.f:
        raise Refused(f"{found.zone.name}: {declined[0].problem}")
    if len(declined) < len([r for r in replies if not isinstance(r, BaseException)]):
        await asyncio.sleep(_PAUSE_S)
        raise Stalled(f"the agent has left {found.zone.name}", declined={})
    failures = (str(reply) for reply in replies if isinstance(reply, SojournError))
    failed = next(failures, "the others answered with something else")
    raise Unreachable(f"only {took} anchors of {found.zone.name} keep the answer: {failed}")
