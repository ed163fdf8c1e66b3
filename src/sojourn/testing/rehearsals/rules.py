"""Rules in a rehearsal: policies in Cedar that decide, the agent's and the place's, as a host's gate asks them."""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from sojourn.core.agent.approvals import Approvers
from sojourn.core.agent.governance import Governance, issuer_id
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.encoding import digest_of
from sojourn.core.policy.memo import Memo
from sojourn.core.policy.request import RequestContext
from sojourn.core.protocol import permission
from sojourn.core.protocol.asking import Unapproved, verdict_on
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.runtime.agent_side.steps import Step
from sojourn.runtime.ports import Intent
from sojourn.testing.founding import found, person_key, policy_of
from sojourn.testing.rehearsals.places import Place

__all__ = ["Rules", "actions_of"]

_PEOPLE: Final = ("ann", "ben", "cat")
_ASKS: Final = re.compile(r'@ask\(\s*"([^"]+)"\s*\)')
_DAY_MS: Final = 86_400_000


def actions_of(agents: Iterable[type]) -> tuple[str, ...]:
    """Return the actions that agents' steps declare, as their policy is to declare them."""
    steps = (getattr(agent, name, None) for agent in agents for name in dir(agent))
    return tuple(sorted({step.action for step in steps if isinstance(step, Step)} - {""}))


class Rules:
    """An agent's policy, signed, and what decides by it. People of every group that it asks are ann, ben and cat."""

    def __init__(self, cedar: str, actions: Iterable[str]) -> None:
        """Have a policy of this text. Raises `Misused`, or `Rejected`, for one that cannot be."""
        people = Approvers(keys=tuple(map(person_key, _PEOPLE)), lasts_ms=_DAY_MS)
        groups = tuple((name, people) for name in dict.fromkeys(_ASKS.findall(cedar)))
        signed = policy_of(cedar, tuple(actions), outside=True, approvers=groups)
        self._document, self._memo = signed.document, Memo()
        permission.agent_policy((self._document,))

    def given_to(self, record: AgentRecord) -> AgentRecord:
        """Return the record of an agent that these rule."""
        named = (digest_of(self._document),)
        governance = Governance(documents=named, version=1, issuer=issuer_id(self._document))
        return msgspec.structs.replace(record, governance=governance)

    def judge(
        self, intent: Intent, record: AgentRecord, place: Place, now_ms: int
    ) -> tuple[Any, ...]:
        """Return by which policies an intent is permitted at a place.

        Raises `Denied` with all that denies it, `Unapproved` where people have to be asked first.
        """
        governing = record.governance.governing((self._document,), now_ms)
        verdict = verdict_on(intent, record, governing, _manifest_of(place), self._memo)
        if verdict.asking and intent.approvals:
            return ("Permitted with an approval.",)
        if verdict.asking:
            raise Unapproved(verdict.explain())
        permission.check_permitted(verdict)
        return (verdict.explain(),)

    def check(
        self, action: str, context: RequestContext, record: AgentRecord, place: Place, now_ms: int
    ) -> None:
        """Raise `Denied`, with all that denies it, unless an action that has no intent is permitted at a place."""
        governing, here = (
            record.governance.governing((self._document,), now_ms),
            _manifest_of(place),
        )
        verdict = permission.ask(record, governing, action, here, here, context, self._memo)
        permission.check_permitted(verdict)


def _manifest_of(place: Place) -> ZoneManifest:
    """Return the manifest of the zone that a place stands for."""
    micros = round((place.price or 0.0) * 1_000_000)
    made = found(place.name, 1, 1, place.policy, place.jurisdiction, micros, 60_000)
    return made.signed.manifest
