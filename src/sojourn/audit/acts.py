"""What the agent did that needs permission, what was denied it, and what its officers ordered.

An intent is in the journal, which is the host's word, and its digest in the record that a quorum certified after
asking the policies: where both agree, a quorum judged just this action. The policies are in the capsule, so they
are asked again here, and answer the same to whoever asks. What trust was worth at the time is not kept.
"""

from collections.abc import Iterator

import msgspec

from sojourn.audit import proving
from sojourn.audit.evidence import Evidence
from sojourn.audit.report import ActionLine, OrderLine
from sojourn.core.agent.actions import fields_of
from sojourn.core.agent.approvals import (
    Petition,
    SignedApproval,
    Standing,
    check_may_answer,
    standing,
)
from sojourn.core.agent.delegation import Mandate
from sojourn.core.agent.governance import Governing
from sojourn.core.agent.orders import MATTERS, THRESHOLDS, Act, SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import SojournError
from sojourn.core.base.keys import key_text
from sojourn.core.policy.memo import Memo
from sojourn.core.policy.request import RequestContext
from sojourn.core.protocol import permission
from sojourn.core.protocol.asking import turns_of
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.decided import is_behind
from sojourn.core.protocol.messages import Intent
from sojourn.runtime.records import Apart, Asked, Intended, Outcome

__all__ = ["action_lines", "order_lines"]


class _Ruled(msgspec.Struct, frozen=True):
    """What the policies say when they are asked again; None if they, or the zones, are not all in the capsule."""

    permits: bool | None
    rules: tuple[str, ...]


_UNKNOWN = _Ruled(None, ())


class _Actions:
    """Makes the lines, in order, and asks the policies again for each."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence, self._memo = evidence, Memo()
        self._intents = list(_intents(evidence))

    def lines(self) -> Iterator[ActionLine]:
        """Yield what a transition proves, in order of versions; then what the journal alone tells of."""
        told = {_version_of(intended): (i, intended) for i, intended in self._intents}
        before: Certified | None = None
        for done in self._evidence.decided:
            match done.transition.kind:
                case TransitionKind.GENESIS if not done.record.is_spawned:
                    yield self._boundary(done, "launch", done.record, done.record.custody.zone)
                case TransitionKind.DEPART | TransitionKind.ADMIT if before is not None:
                    yield self._travel(done, before)
                case TransitionKind.INTEND:
                    yield self._intended(done, told.pop(done.record.version, None))
            before = done
        for index, intended in told.values():
            yield self._unproved(index, intended)

    def _travel(self, done: Certified, before: Certified) -> ActionLine:
        """A departure is asked of the zone that is left, an admission of the one that is entered (protocol §4)."""
        is_departure = done.transition.kind is TransitionKind.DEPART
        gone = done.record if is_departure else before.record
        assert gone.migration is not None or not is_departure, "a departed record says where to"
        target = gone.migration.to_zone if gone.migration else done.record.custody.zone
        ruled_by = gone.custody.zone if is_departure else target
        return self._boundary(
            done, "travel", gone, target, ruled_by=ruled_by, origin=gone.custody.zone
        )

    def _boundary(
        self,
        done: Certified,
        action: str,
        record: AgentRecord,
        place: bytes,
        *,
        ruled_by: bytes | None = None,
        origin: bytes | None = None,
    ) -> ActionLine:
        ruled = self._ask(record, action, place, ruled_by or place, origin, done.transition.at_ms)
        line = f"action-v{done.record.version}"
        return ActionLine(
            line=line,
            action=action,
            step="",
            effect="",
            zone_name=self._evidence.name_of(place),
            version=done.record.version,
            at_ms=done.transition.at_ms,
            documents=self._evidence.titles(record.governance.documents),
            governance_version=record.governance.version,
            permits=ruled.permits,
            rules=ruled.rules,
            attested="quorum",
            labels=(),
            labels_dropped=(),
            key="",
            outcome=str(done.transition.kind),
            proof=proving.by_transition(line, done),
        )

    def _intended(self, done: Certified, told: tuple[int, Intended] | None) -> ActionLine:
        record, line = done.record, f"action-v{done.record.version}"
        asked = _petition(self._evidence, told[0]) if told else None
        intent = _judged_intent(told[1], record, asked) if told else None
        is_judged = intent is not None and digest_of(intent) == record.eligibility.last_decision
        answers = told[1].approvals if told else ()
        ruled = _UNKNOWN
        if intent is not None and is_judged:
            context = intent.circumstances()
            here, at_ms = record.custody.zone, done.transition.at_ms
            shown = (asked, answers) if asked is not None and intent.petition else None
            ruled = self._ask(record, intent.action, here, here, None, at_ms, context, shown)
        return ActionLine(
            line=line,
            action=intent.action if intent else "",
            step=intent.step if intent else "",
            effect=intent.effect if intent else "",
            zone_name=self._evidence.name_of(record.custody.zone),
            version=record.version,
            at_ms=done.transition.at_ms,
            documents=self._evidence.titles(record.governance.documents),
            governance_version=record.governance.version,
            permits=ruled.permits,
            rules=ruled.rules,
            attested="quorum" if is_judged else "host",
            labels=intent.labels if intent else (),
            labels_dropped=intent.labels_dropped if intent else (),
            key=intent.key if intent else "",
            outcome=_outcome(self._evidence, told[0])
            if told
            else "the journal does not tell of it",
            proof=proving.by_transition(line, done, told[0] if told else None),
            approved_by=tuple(key_text(each.approval.approver) for each in answers),
        )

    def _unproved(self, index: int, intended: Intended) -> ActionLine:
        """Return the line of an intent whose transition is not shown: the host says so, and nobody else here."""
        line = f"action-j{index}"
        return ActionLine(
            line=line,
            action=intended.action,
            step=intended.step,
            effect=intended.effect,
            zone_name="",
            version=_version_of(intended),
            at_ms=None,
            documents=self._evidence.ruling_at(_version_of(intended)),
            governance_version=0,
            permits=None,
            rules=(),
            attested="host",
            labels=(),
            labels_dropped=(),
            key=intended.key,
            outcome=_outcome(self._evidence, index),
            proof=proving.by_journal(line, self._evidence, index),
            approved_by=tuple(key_text(each.approval.approver) for each in intended.approvals),
        )

    # --- asking again --------------------------------------------------------------------------------

    def _is_shown(self, record: AgentRecord) -> bool:
        """Tell whether all that ruled then, and cooled, is in the capsule."""
        return self._evidence.documents.keys() >= set(record.governance.named)

    def _ask(
        self,
        record: AgentRecord,
        action: str,
        place: bytes,
        ruled_by: bytes,
        origin: bytes | None,
        at_ms: int,
        context: RequestContext | None = None,
        shown: tuple[Petition, tuple[SignedApproval, ...]] | None = None,
    ) -> _Ruled:
        """Ask the policies of agent and zone as the anchors did; what cannot be evaluated denies."""
        zones = self._evidence.manifests
        if not self._is_shown(record) or not {place, ruled_by, origin or place} <= zones.keys():
            return _UNKNOWN
        target = zones[place]
        if context is None:
            is_move = origin is not None
            context = permission.travel_context(record, target) if is_move else RequestContext()
        try:
            governing = record.governance.governing(self._evidence.documents.values(), at_ms)
            came_from = zones[origin] if origin is not None else None
            verdict = permission.ask(
                record, governing, action, target, zones[ruled_by], context, self._memo, came_from
            )
            permits = verdict.permitted
            if verdict.asking and shown is not None:
                permits = _is_approved(*shown, governing, at_ms)
        except SojournError as error:
            return _Ruled(False, (str(error),))
        rules = (rule.title for each in verdict.decisions for rule in each.decision.rules)
        return _Ruled(permits, tuple(dict.fromkeys(rules)))


def _intents(evidence: Evidence) -> Iterator[tuple[int, Intended]]:
    return (
        (index, record) for index, record in evidence.own_records() if isinstance(record, Intended)
    )


def _version_of(intended: Intended) -> int:
    """Return the version that an effect's key names (protocol §10.3); 0, the genesis, for what is no key."""
    parts = intended.key.split("/")
    is_key = len(parts) == 4 and parts[2].isascii() and parts[2].isdigit() and len(parts[2]) < 19
    return int(parts[2]) if is_key else 0


def _intent(intended: Intended) -> Intent:
    """Return what the gate was asked, as the journal says that the host stated it."""
    return Intent(
        **fields_of(intended),
        key=intended.key,
        follows=intended.follows,
    )


def _petition(evidence: Evidence, index: int) -> Petition | None:
    """Return what people were asked last about the intent at an index of the journal, if they were."""
    intended = evidence.journal[index]
    assert isinstance(intended, Intended)
    for record in reversed(evidence.journal[:index]):
        if isinstance(record, Asked) and (record.call, record.step, record.arguments) == (
            intended.call,
            intended.step,
            intended.arguments,
        ):
            return record.petition
    return None


def _judged_intent(intended: Intended, record: AgentRecord, asked: Petition | None) -> Intent:
    """Return what the gate was asked: the one whose digest is in the record, of those with a petition and without."""
    intent = _intent(intended)
    if asked is None:
        return intent
    approved = msgspec.structs.replace(intent, petition=digest_of(asked))
    return approved if digest_of(approved) == record.eligibility.last_decision else intent


def _is_approved(
    petition: Petition, answers: tuple[SignedApproval, ...], governing: Governing, at_ms: int
) -> bool:
    """Tell whether these answers approved a petition, by who has a say. Raises `Rejected` for one who has none."""
    having = turns_of(petition, governing)
    for signed in answers:
        check_may_answer(having, signed, at_ms)
    return standing(petition, having, answers, at_ms) is Standing.APPROVED


def _outcome(evidence: Evidence, index: int) -> str:
    """Return what the journal says came of the intent at an index."""
    intended = evidence.journal[index]
    assert isinstance(intended, Intended)
    for at in range(index + 1, len(evidence.journal)):
        record = evidence.journal[at]
        if not isinstance(record, Intended | Outcome) or record.call != intended.call:
            continue
        if isinstance(record, Intended):
            break
        if (record.step, record.arguments) == (intended.step, intended.arguments):
            failure = record.failure
            return "done" if failure is None else f"{failure.cause}: {failure.kind}"
    stayed = any(isinstance(record, Apart) for record in evidence.journal[index + 1 :])
    return "not shown: it may have stayed behind in another zone" if stayed else "not recorded"


# --- orders ------------------------------------------------------------------------------------------


def order_lines(evidence: Evidence) -> Iterator[OrderLine]:
    """Yield the orders that were carried out, with who sealed each, if the capsule shows that."""
    acts = set(map(TransitionKind, Act))
    done = [item for item in evidence.decided if item.transition.kind in acts]
    for item in done:
        act = Act(item.transition.kind.value)
        line = f"order-v{item.record.version}"
        signed = _shown(evidence, item)
        mandate = signed.mandate if signed else None
        yield OrderLine(
            line=line,
            act=str(act),
            at_ms=item.transition.at_ms,
            issued_ms=item.record.governance.last_ordered_ms(MATTERS[act]),
            version=item.record.version,
            zone_name=evidence.name_of(item.record.custody.zone),
            reason=item.transition.reason,
            needed=_needed(evidence, item, act, mandate),
            signed_by=tuple(sorted({seal.signer.hex() for seal in signed.seals})) if signed else (),
            proof=proving.by_transition(line, item),
            under=mandate.names if mandate else (),
        )


def _needed(evidence: Evidence, item: Certified, act: Act, mandate: Mandate | None) -> int:
    if mandate is not None:
        return int(getattr(mandate.acting, THRESHOLDS[act]))
    ruling = evidence.documents.get(next(iter(item.record.governance.documents), b""))
    return int(getattr(ruling.officers, THRESHOLDS[act])) if ruling else 0


def _shown(evidence: Evidence, item: Certified) -> SignedOrder | None:
    """Return the order that a transition carried out, if the capsule shows it."""
    orders = evidence.verified.capsule.orders
    return next((signed for signed in orders if is_behind(signed, item)), None)


def action_lines(evidence: Evidence) -> Iterator[ActionLine]:
    """Yield launch, moves and effects in order of versions, then what only the journal tells of."""
    return _Actions(evidence).lines()
