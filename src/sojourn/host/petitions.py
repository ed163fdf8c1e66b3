"""The petitions of one agent on this host: what people are asked, what they answered, what is over (protocol §10).

    gate asks ─► petition in the record ─► answers from the anchors ─► approved: the intent, with the approvals
                                                                    └► declined, expired: the step is denied

The step waits here, in memory, and the petition in the record: whichever host has the agent next waits for the same.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sojourn.core.agent.approvals import (
    Petition,
    SignedApproval,
    Standing,
    Turn,
    check_may_answer,
    standing,
    sufficient,
)
from sojourn.core.agent.eligibility import Pending
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Denied, Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.base.limits import PETITIONS_MAX
from sojourn.core.protocol.asking import pending, petition_for, turns_of, verdict_on
from sojourn.core.protocol.exchange import AnyReply, Approvals, AskApprovals
from sojourn.core.protocol.messages import Intent
from sojourn.runtime.processes import clock

if TYPE_CHECKING:
    from sojourn.host.custody import AgentCustody
    from sojourn.host.server import Host

__all__ = ["Petitions"]

_POLL_S: Final = 5.0
"""Anchors tell a host of an answer at once; this is for when that notice was lost."""
_ASK_S: Final = 2.0


class Petitions:
    """What one agent's steps wait for on this host."""

    def __init__(self, host: "Host", custody: "AgentCustody", mail: asyncio.Event) -> None:
        """See to the petitions of the agent in `custody`. `mail` is set when there may be answers."""
        self._host, self._custody, self._mail = host, custody, mail
        self._over: set[bytes] = set()

    def drop(self, petition: bytes) -> None:
        """Let a petition be pending no more, from the next step on."""
        self._over.add(petition)

    def remaining(self) -> tuple[Pending, ...]:
        """Return the pending petitions without those that are over."""
        now_ms = clock.wall_ms()
        known = self._custody.record.eligibility.petitions
        return tuple(
            each for each in known if each.petition not in self._over and now_ms < each.expires_ms
        )

    async def make(self, intent: Intent) -> Petition:
        """Return the petition for an intent, as of now.

        Raises `Denied` if the policies do not ask, or too many wait already.
        """
        record, host, now_ms = self._custody.record, self._host, clock.wall_ms()
        if len(record.eligibility.petitions) >= PETITIONS_MAX:
            raise Denied(f"{PETITIONS_MAX} actions of this agent wait for an approval already")
        governing = await host.outlook.governing(record, now_ms)
        verdict = verdict_on(intent, record, governing, host.manifest, host.memo)
        return petition_for(intent, record, governing, verdict, now_ms)

    async def answered(self, petition: Petition) -> tuple[SignedApproval, ...]:
        """Wait until a petition is approved and return enough approvals. Raises `Denied` for any other end.

        `LeaseLost` when officers had something decided meanwhile, which this host hears of here alone.
        Where other policies rule by now than those that asked, nothing approves it any more: there are none, and
        the gate has to be asked anew.
        """
        named = pending(petition)
        while named in self.remaining():
            having = await self._having(petition)
            if not having:
                return ()
            self._mail.clear()  # whoever sets it from now on has something that this look may miss
            answers = await self._collect(petition, having)
            now_ms = clock.wall_ms()
            match standing(petition, having, answers, now_ms):
                case Standing.APPROVED:
                    return sufficient(petition, having, answers, now_ms)
                case Standing.DECLINED:
                    self.drop(named.petition)
                    raise Denied(_declined(petition, answers))
                case Standing.EXPIRED:
                    break
            await self._wait(having)
        self.drop(named.petition)
        raise Denied(f"{petition.action} was not approved in time: the petition is over")

    async def _having(self, petition: Petition) -> tuple[Turn, ...]:
        """Return who has a say in a petition; nobody if one of the policies that asked rules no more."""
        record = self._custody.record
        governing = await self._host.outlook.governing(record, clock.wall_ms())
        having = turns_of(petition, governing)
        lacking = {each.policy for each in petition.demands} - {turn.policy for turn in having}
        return () if lacking else having

    async def _collect(
        self, petition: Petition, having: Sequence[Turn]
    ) -> tuple[SignedApproval, ...]:
        """Return the answers that anchors have, of those who have a say now: of each the no, if there is one.

        Raises `LeaseLost` if the agent has gone on without this host, by an order or an amendment.
        """
        said: dict[bytes, SignedApproval] = {}
        named, answers, newest = digest_of(petition), 0, 0

        def take(_anchor: int, reply: AnyReply) -> bool:
            nonlocal answers, newest
            if isinstance(reply, Approvals):
                answers += 1
                newest = max(newest, reply.version)
                for each in reply.approvals:
                    if each.approval.petition == named:
                        _note(said, each, having)
            return answers >= self._host.zone.quorum

        ask = AskApprovals(agent=self._custody.agent)
        await self._host.zone.ask_each(ask, take, timeout_s=_ASK_S)
        if newest > self._custody.record.version:
            await self._custody.check_newest()
        return tuple(said.values())

    async def _wait(self, having: Sequence[Turn]) -> None:
        """Wait for news, or for the time at which somebody else has a say or nobody has any more."""
        now_ms = clock.wall_ms()
        times = [at for turn in having for at in (turn.from_ms, turn.until_ms) if at > now_ms]
        left_s = (min(times, default=now_ms) - now_ms) / 1000
        try:
            async with asyncio.timeout(min(_POLL_S, left_s)):
                await self._mail.wait()
        except TimeoutError:
            return


def _note(said: dict[bytes, SignedApproval], each: SignedApproval, having: Sequence[Turn]) -> None:
    try:
        check_may_answer(having, each, clock.wall_ms())
    except Rejected:
        return  # an anchor that lies, or another's clock
    known = said.get(each.approval.approver)
    if known is None or not each.approval.is_approved or known.approval.is_approved:
        said[each.approval.approver] = each


def _declined(petition: Petition, answers: Sequence[SignedApproval]) -> str:
    no = next(each.approval for each in answers if not each.approval.is_approved)
    why = f": {no.reason}" if no.reason else ""
    return f"{petition.action} was declined by {key_text(no.approver)}{why}"
