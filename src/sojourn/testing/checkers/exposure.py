"""What a zone with more liars than it tolerates can do to agents of other zones, and what it cannot (protocol §0).

An agent is exposed once that zone has held it, or was named by a departure of it that was decided: from then on the
zone may certify two futures for it, and each may be taken up by an honest zone that knows nothing of the other. For
every other agent all promises hold. For exposed ones there is still, in honest zones, one decision in each slot,
no term twice and none after a later one, what no transition may change as it was at genesis, and chains of custody
that prove themselves and part nowhere but in what a lying zone decided.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations

from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.custody import Certified, Chapter, check_chain
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation

__all__ = ["check", "exposed", "still_promised"]

_PROMISE = "no contagion"
_OF_ALL = "honest never blamed"


def exposed(
    decisions: Decisions, homes: Mapping[bytes, bytes], above: Collection[bytes]
) -> set[bytes]:
    """Return the agents that zones `above` their bound held or were to hold; `homes` are the zones of their birth."""
    found = {agent for agent, home in homes.items() if home in above}
    for values in decisions.decided.values():
        for value in values:
            proposal = decisions.history.proposals.get(value)
            if proposal is not None and _zones(proposal.transition.record) & set(above):
                found.add(proposal.transition.record.agent_id)
    return found


def _zones(record: AgentRecord) -> set[bytes]:
    here = {record.custody.zone}
    return here | {record.migration.to_zone} if record.migration else here


def still_promised(violations: Iterable[Violation], exposed: Collection[bytes]) -> list[Violation]:
    """Return the violations of what is promised in spite of a zone above its bound."""
    return [each for each in violations if each.promise == _OF_ALL or each.agent not in exposed]


def check(
    decisions: Decisions,
    chains: Sequence[tuple[bytes, tuple[Chapter, ...]]],
    births: Mapping[bytes, AgentRecord],
    above: Collection[bytes],
) -> list[Violation]:
    """Return what a lying zone brought about elsewhere and cannot.

    `chains` are the chains of custody that honest anchors hold as proved, each with its agent; `births` the agents'
    first records.
    """
    return [
        *_slots(decisions, above),
        *_order(decisions, above),
        *_constants(decisions, births),
        *_proofs(decisions, chains),
        *_partings(chains, above),
    ]


def _slots(decisions: Decisions, above: Collection[bytes]) -> list[Violation]:
    return [
        Violation(_PROMISE, f"{slot.describe()} of an honest zone is forked", slot.agent)
        for slot, values in decisions.decided.items()
        if slot.group not in above and len(values) > 1
    ]


def _order(decisions: Decisions, above: Collection[bytes]) -> list[Violation]:
    """Return where an honest anchor went back to an earlier term or version of an agent."""
    newest: dict[tuple[bytes, int, bytes], tuple[int, int]] = {}
    found = []
    for fact in decisions.history.applied:
        slot = fact.certified.certificate.slot
        is_head = fact.certified.transition.kind is not TransitionKind.REFUSE
        if not fact.is_honest or not is_head:
            continue
        key, order = (fact.zone, fact.anchor, slot.agent), (slot.term, slot.version)
        if order <= newest.get(key, (-1, -1)):
            found.append(Violation(_PROMISE, f"{slot.describe()} came after a later one", key[2]))
        newest[key] = order
    return found


def _constants(decisions: Decisions, births: Mapping[bytes, AgentRecord]) -> list[Violation]:
    found = []
    for done in decisions.applied.values():
        record = done.record
        born = births.get(record.agent_id)
        if born is None or _constant(record) != _constant(born):
            problem = f"version {record.version} is governed otherwise than it was born"
            found.append(Violation(_PROMISE, problem, record.agent_id, record.version))
    return found


def _constant(record: AgentRecord) -> tuple[object, ...]:
    return record.realm, record.governance, record.capabilities, record.trust.issuers


def _proofs(
    decisions: Decisions, chains: Sequence[tuple[bytes, tuple[Chapter, ...]]]
) -> list[Violation]:
    found = []
    for agent, chapters in chains:
        try:
            check_chain(agent, chapters, decisions.manifests)
        except Rejected as error:
            found.append(Violation(_PROMISE, f"a chain that does not hold is kept: {error}", agent))
    return found


def _partings(
    chains: Sequence[tuple[bytes, tuple[Chapter, ...]]], above: Collection[bytes]
) -> list[Violation]:
    """Return where two chains of one agent part in what an honest zone decided."""
    found = []
    paths = {}
    for agent, chapters in chains:
        path = _decided(chapters)
        paths[agent, tuple(each.transition.digest for each in path)] = path
    for (agent, one), (other_agent, other) in combinations(paths, 2):
        if agent != other_agent:
            continue
        parting = _parting(paths[agent, one], paths[agent, other])
        if parting and not {each.certificate.slot.group for each in parting} & set(above):
            problem = (
                f"two chains part in {parting[0].certificate.slot.describe()} of an honest zone"
            )
            found.append(Violation(_PROMISE, problem, agent))
    return found


def _decided(chapters: Sequence[Chapter]) -> list[Certified]:
    """Return the decisions that a chain consists of, in their order."""
    steps = ((chapter.refusal, chapter.opened, chapter.closed) for chapter in chapters)
    return [each for step in steps for each in step if each is not None]


def _parting(
    one: Sequence[Certified], other: Sequence[Certified]
) -> tuple[Certified, Certified] | None:
    """Return the first two decisions in which two chains differ; nothing if one goes on where the other ends."""
    for here, there in zip(one, other, strict=False):
        if here.transition.digest != there.transition.digest:
            return here, there
    return None
