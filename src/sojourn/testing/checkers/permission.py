"""Nothing final that both policies did not permit (P3): every decided intent and journey is asked about again."""

from collections.abc import Sequence

from sojourn.core.agent.governance import Document
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.errors import Denied
from sojourn.core.policy.memo import Memo
from sojourn.core.policy.request import RequestContext
from sojourn.core.protocol import permission
from sojourn.core.protocol.custody import Certified
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation

__all__ = ["check"]


def check(decisions: Decisions, documents: Sequence[Document], memo: Memo) -> list[Violation]:
    """Return what was applied and is not permitted by the agents' documents and the zone's own policy."""
    found = []
    for value, done in decisions.applied.items():
        try:
            _ask(decisions, value, done, documents, memo)
        except Denied as denied:
            problem = f"{done.transition.kind}: {denied}"
            record = done.record
            found.append(Violation("nothing unpermitted", problem, record.agent_id, record.version))
    return found


def _ask(
    decisions: Decisions, value: bytes, done: Certified, documents: Sequence[Document], memo: Memo
) -> None:
    record, here = done.record, decisions.manifests[done.certificate.slot.group]
    proposal = decisions.history.proposals.get(value)
    context, action, place, origin = RequestContext(), "", here, _NOWHERE
    match done.transition.kind:
        case TransitionKind.INTEND if proposal is not None and proposal.evidence.intent:
            intent = proposal.evidence.intent
            action = intent.action
            context = intent.circumstances()
        case TransitionKind.DEPART if record.migration is not None:
            action, place, origin = "travel", decisions.manifests[record.migration.to_zone], here
            context = permission.travel_context(record, place)
        case _:
            return
    governing = record.governance.governing(documents, done.transition.at_ms)
    verdict = permission.ask(record, governing, action, place, here, context, memo, origin)
    permission.check_permitted(verdict)


_NOWHERE: ZoneManifest | None = None
