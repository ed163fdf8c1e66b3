"""An agent's journey for the golden files: born and bound in one zone, admitted in the next, refused, returned.

Every decision is signed by the first anchors that are a quorum, so that no file depends on who answers first.
"""

from typing import Final

from msgspec.structs import replace

from sojourn.core.agent.capabilities import Upgrade
from sojourn.core.agent.eligibility import Budget, Eligibility, Status, Wake
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.orders import Act, Order
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.agent.upgrading import adopted, vouched_by
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.seals import Role
from sojourn.core.protocol.admission import admitted, bound, child, departed, returned
from sojourn.core.protocol.amending import bringing
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.forking import Grant, fork_of, forking
from sojourn.core.protocol.messages import Evidence, Forking, Intent, Proposal
from sojourn.core.protocol.ordering import carrying, sealed
from sojourn.core.protocol.validate import warrant_of
from sojourn.core.protocol.visa import Visa, visa_slot, visa_terms
from sojourn.core.quorum.votes import Phase, Slot
from tests.conformance.golden import Json
from tests.samples import (
    ISSUER,
    NOW_MS,
    SampleZone,
    document,
    found,
    genesis,
    key,
    propose,
    successor,
)

HOME: Final = found("home")
AWAY: Final = found("away", 5, jurisdiction=("EU", "IE"))
THIEF: Final = found("thief", 1)

MEMORY: Final = Memory(
    compartments={
        "risk": Compartment(form=Form.LOG, root=digest(b"risk"), labels=("internal",), size=9),
        "positions": Compartment(form=Form.MAPPING, root=digest(b"positions"), residency=("DE",)),
    },
    journal=digest(b"journal"),
)
ELIGIBILITY: Final = Eligibility(
    status=Status.ACTIVE,
    wake=(Wake(at_ms=1_800_000_000_000), Wake(on_message=True)),
    budgets={
        "calls": Budget(limit=100),
        "cost_micros": Budget(limit=5_000_000),
        "hops": Budget(limit=9),
        "orders": Budget(limit=100),
        "steps": Budget(limit=1_000),
        "tokens": Budget(limit=10_000),
        "wall_ms": Budget(limit=60_000),
    },
)
LATER_MS: Final = NOW_MS + 5_000
"""When the first step is decided, by its author's clock. What follows is by clocks that are behind."""


def _certified(
    zone: SampleZone,
    kind: TransitionKind,
    parent: Certified,
    record: AgentRecord,
    author: KeyPair,
    slot: Slot | None = None,
) -> Certified:
    made = propose(kind, parent, record, author, role=Role.HOST)
    return zone.certified(made.transition, slot)


def visa_for(record: AgentRecord, target: SampleZone) -> Visa:
    """Return the visa of a target's anchors for a record."""
    terms = visa_terms(record, target.manifest, target.hosts[0].public, 4_096, 30_000)
    named = Visa(terms=terms, certificate=target.certificate(visa_slot(terms), digest(b"")))
    certificate = target.certificate(visa_slot(terms), named.digest, phase=Phase.VISA)
    return Visa(terms=terms, certificate=certificate)


def _departed(zone: SampleZone, head: Certified, target: SampleZone, visa: Visa) -> Certified:
    record = departed(head.record, head.certificate.slot, visa, target.manifest)
    return _certified(zone, TransitionKind.DEPART, head, record, zone.hosts[0])


DOCUMENT: Final = document(cool_down_ms=60_000)
GENESIS: Final = genesis(HOME, DOCUMENT, memory=MEMORY, eligibility=ELIGIBILITY)
WARRANT: Final = warrant_of(GENESIS)
BORN: Final = HOME.certified(GENESIS.transition)
AGENT: Final = BORN.record.agent_id
BOUND: Final = _certified(
    HOME,
    TransitionKind.BIND,
    BORN,
    bound(BORN, HOME.hosts[0].public),
    HOME.hosts[0],
)
SUCCESSOR: Final = successor(DOCUMENT, cool_down_ms=0)
AMENDED: Final = HOME.certified(
    bringing(DOCUMENT.document, (SUCCESSOR,), BOUND, key("stranger"), at_ms=NOW_MS).transition
)
_SPENT: Final = replace(
    BOUND.record.eligibility,
    budgets=ELIGIBILITY.budgets | {"orders": Budget(limit=100, spent=3)},
)
STEP: Final[Proposal] = propose(
    TransitionKind.STEP,
    BOUND,
    child(
        BOUND.record,
        BOUND.certificate.slot,
        memory=replace(MEMORY, journal=digest(b"journal 2")),
        eligibility=_SPENT,
    ),
    HOME.hosts[0],
    now_ms=LATER_MS,
)
INTENT: Final = Intent(
    step="hedge",
    action="order.place",
    effect="once",
    key="a key",
    arguments=digest(b"arguments"),
    cost_micros=1_500,
    tokens=20,
)
INTENDED: Final[Proposal] = propose(
    TransitionKind.INTEND,
    BOUND,
    child(
        BOUND.record,
        BOUND.certificate.slot,
        eligibility=replace(BOUND.record.eligibility, last_decision=digest_of(INTENT)),
    ),
    HOME.hosts[0],
    evidence=Evidence(intent=INTENT),
    now_ms=LATER_MS,
)
STEPPED: Final = HOME.certified(STEP.transition)
ORDERED: Final = sealed(
    Order(
        agent=AGENT,
        act=Act.UPGRADE,
        issued_ms=NOW_MS,
        expires_ms=NOW_MS + 600_000,
        upgrade=Upgrade(
            replaces=BORN.record.capabilities.code,
            code=digest(b"other code"),
            entry="agent:Agent",
            publisher=key("publisher").public,
            vouched=vouched_by(key("publisher"), digest(b"other code")),
        ),
    ),
    [ISSUER],
)
UPGRADED: Final = HOME.certified(carrying(ORDERED, BOUND, key("stranger"), at_ms=NOW_MS).transition)
ADOPTION: Final = propose(
    TransitionKind.ADOPT,
    UPGRADED,
    child(
        UPGRADED.record,
        UPGRADED.certificate.slot,
        memory=replace(MEMORY, journal=digest(b"journal 2")),
        eligibility=UPGRADED.record.eligibility,
        capabilities=adopted(UPGRADED.record.capabilities),
    ),
    HOME.hosts[0],
    now_ms=LATER_MS,
)
FORKING: Final = Forking(at=BOUND, newest=STEPPED)
FORK: Final = forking(
    fork_of(
        BOUND.record,
        STEPPED.record,
        DOCUMENT.document,
        Grant(
            budgets=dict.fromkeys(ELIGIBILITY.budgets, 50),
            journal=digest(b"a journal that goes on"),
            chance=digest(b"chance"),
        ),
        HOME.manifest,
    ),
    FORKING,
    (DOCUMENT,),
    [ISSUER],
    at_ms=LATER_MS,
    reason="what if",
)
VISA: Final = visa_for(STEPPED.record, AWAY)
GONE: Final = _departed(HOME, STEPPED, AWAY, VISA)
ADMISSION: Final = propose(
    TransitionKind.ADMIT,
    GONE,
    admitted(GONE.record, GONE.certificate.slot, AWAY.manifest, AWAY.hosts[0].public),
    AWAY.hosts[0],
    evidence=Evidence(departure=GONE, visa=VISA),
)
ADMITTED: Final = AWAY.certified(ADMISSION.transition)


def _gone_amended(amended: Certified) -> tuple[Certified, Certified]:
    """Return the departure of an agent after an amendment, and its admission in the other zone."""
    gone = _departed(HOME, amended, AWAY, visa_for(amended.record, AWAY))
    host = AWAY.hosts[0]
    record = admitted(gone.record, gone.certificate.slot, AWAY.manifest, host.public)
    return gone, _certified(AWAY, TransitionKind.ADMIT, gone, record, host)


GONE_AMENDED, ADMITTED_AMENDED = _gone_amended(AMENDED)
TEXT: Final = successor(DOCUMENT, cedar=DOCUMENT.document.cedar + " // 2")
"""A successor with another text alone: a delegate may sign it."""
GONE_RETOLD, ADMITTED_RETOLD = _gone_amended(
    HOME.certified(
        bringing(DOCUMENT.document, (TEXT,), BOUND, key("stranger"), at_ms=NOW_MS).transition
    )
)
GONE_AGAIN: Final = _departed(AWAY, ADMITTED, HOME, visa_for(ADMITTED.record, HOME))
REFUSAL: Final = _certified(
    HOME,
    TransitionKind.REFUSE,
    GONE_AGAIN,
    GONE_AGAIN.record,
    HOME.identity(0),
    replace(BORN.certificate.slot, agent=AGENT, term=2, version=GONE_AGAIN.record.version + 1),
)
RETURNED: Final = _certified(
    AWAY,
    TransitionKind.RETURN,
    GONE_AGAIN,
    returned(GONE_AGAIN.record, GONE_AGAIN.certificate.slot),
    AWAY.identity(0),
)
CHAPTERS: Final = (
    Chapter(opened=BORN, closed=GONE, warrant=WARRANT),
    Chapter(opened=ADMITTED, closed=GONE_AGAIN),
    Chapter(opened=RETURNED, refusal=REFUSAL),
)


def record_summary(record: AgentRecord) -> Json:
    """Return what the files say of a record."""
    custody = record.custody
    return {
        "agent": record.agent_id.hex(),
        "digest": record.digest.hex(),
        "version": record.version,
        "zone": custody.zone.hex(),
        "fence": [custody.term, custody.binding],
        "host": custody.host.hex() if custody.host else None,
        "status": str(record.eligibility.status),
        "lineage_root": record.lineage.root.hex(),
    }
