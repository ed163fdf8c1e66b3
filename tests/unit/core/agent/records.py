"""Records one step apart: for each kind of transition a parent and the plainest child it may have."""

from typing import Any

from msgspec.structs import replace

from sojourn.core.agent.capabilities import OrderedUpgrade, Upgrade
from sojourn.core.agent.eligibility import Budget, Eligibility, Pending, Status, Wake
from sojourn.core.agent.events import Events
from sojourn.core.agent.governance import Matter
from sojourn.core.agent.memory.encryption import Encryption
from sojourn.core.agent.memory.field import Compartment, Form, Memory, erased
from sojourn.core.agent.orders import Act, Order
from sojourn.core.agent.record import AgentRecord, Custody, Migration
from sojourn.core.agent.transition import TransitionKind, next_lineage
from sojourn.core.agent.upgrading import adopted, vouched_by
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.seals import Kind, Role
from sojourn.core.quorum.votes import Slot
from tests.samples import ISSUER, found, genesis, key, seal

HOME, AWAY = found("home"), found("away")
HOST, OTHER_HOST = (host.public for host in HOME.hosts)

SOME_ZONE = digest(b"some zone").hex()
KEY = Encryption(commitments=(digest(b"one"), digest(b"two")))
MEMORY = Memory(
    compartments={
        "here": Compartment(form=Form.MAPPING, root=digest(b"root"), labels=("public",)),
        "away": Compartment(form=Form.LOG, root=digest(b"log"), held_by=digest(b"elsewhere")),
        "secret": Compartment(form=Form.LOG, root=digest(b"secret"), encryption=KEY),
    },
    journal=digest(b"journal"),
)
ELIGIBILITY = Eligibility(
    status=Status.ACTIVE,
    wake=(Wake(at_ms=5),),
    budgets={"orders": Budget(limit=10), "cost_micros": Budget(limit=100)},
)
BORN: AgentRecord = genesis(HOME, memory=MEMORY, eligibility=ELIGIBILITY).transition.record


def slot_of(record: AgentRecord) -> Slot:
    """Return the slot a record of this agent was decided in."""
    return Slot(
        realm=record.realm,
        group=record.custody.zone,
        epoch=0,
        agent=record.agent_id,
        term=record.custody.term,
        version=record.version,
    )


def following(parent: AgentRecord, **changes: Any) -> AgentRecord:
    """Return the next version of a record, with some fields changed; nested ones as `field__part`."""
    made = replace(
        parent,
        agent=parent.agent_id,
        version=parent.version + 1,
        parent=parent.digest,
        lineage=next_lineage(parent, slot_of(parent)),
    )
    return changed(made, **changes)


def changed(record: AgentRecord, **changes: Any) -> AgentRecord:
    """Return a record with some fields changed; nested ones as `field__part`."""
    for name, value in changes.items():
        field, _, part = name.partition("__")
        if part:
            value = replace(getattr(record, field), **{part: value})  # noqa: PLW2901
        record = replace(record, **{field: value})
    return record


BOUND = following(BORN, custody__binding=1, custody__host=HOST)
ACTIVE = following(
    BOUND,
    eligibility__budgets={
        "orders": Budget(limit=10, spent=4),
        "cost_micros": Budget(limit=100, spent=50),
    },
    eligibility__petitions=(Pending(petition=digest(b"asked"), expires_ms=9),),
    trust__events={SOME_ZONE: Events(refused=2)},
)
SUSPENDED = following(
    ACTIVE, eligibility__is_suspended=True, governance__ordered_ms={Matter.SUSPENSION: 5}
)
QUARANTINED = following(
    ACTIVE, eligibility__is_quarantined=True, governance__ordered_ms={Matter.QUARANTINE: 5}
)
TO_AWAY = Migration(
    to_zone=AWAY.zone, to_manifest=AWAY.manifest.digest, visa=digest(b"visa"), next_term=1
)
GONE = following(ACTIVE, eligibility__status=Status.DEPARTED, migration=TO_AWAY)
IN_AWAY = Custody(zone=AWAY.zone, term=1, binding=0, host=AWAY.hosts[0].public)

PUBLISHER = key("publisher")


def upgrade_to(code: bytes, replaces: bytes = BORN.capabilities.code) -> Upgrade:
    """Return an upgrade of the sample agent to code with a digest, sealed by its publisher."""
    return Upgrade(
        replaces=replaces,
        code=code,
        entry="next:Agent",
        publisher=PUBLISHER.public,
        vouched=vouched_by(PUBLISHER, code),
    )


def ordered(upgrade: Upgrade, issued_ms: int = 5) -> OrderedUpgrade:
    """Return the upgrade as officers of the sample agent ordered it."""
    given = Order(
        agent=BORN.agent_id,
        act=Act.UPGRADE,
        issued_ms=issued_ms,
        expires_ms=issued_ms + 1,
        upgrade=upgrade,
    )
    sealed = seal(ISSUER, Kind.ORDER, Role.ISSUER, digest_of(given))
    return OrderedUpgrade(
        issued_ms=issued_ms, expires_ms=issued_ms + 1, upgrade=upgrade, seals=(sealed,)
    )


UPGRADE = upgrade_to(digest(b"the next code"))
WAITING = following(
    ACTIVE, capabilities__upgrade=ordered(UPGRADE), governance__ordered_ms={Matter.CODE: 5}
)

PAIRS: dict[TransitionKind, tuple[AgentRecord, AgentRecord]] = {
    TransitionKind.STEP: (ACTIVE, following(ACTIVE)),
    TransitionKind.ADOPT: (WAITING, following(WAITING, capabilities=adopted(WAITING.capabilities))),
    TransitionKind.INTEND: (ACTIVE, following(ACTIVE)),
    TransitionKind.ASK: (
        ACTIVE,
        following(
            ACTIVE,
            eligibility__petitions=(
                *ACTIVE.eligibility.petitions,
                Pending(petition=digest(b"asked next"), expires_ms=9),
            ),
        ),
    ),
    TransitionKind.SPAWN: (ACTIVE, following(ACTIVE, eligibility__children=1)),
    TransitionKind.BIND: (
        ACTIVE,
        following(ACTIVE, custody__binding=2, custody__host=OTHER_HOST),
    ),
    TransitionKind.DEPART: (ACTIVE, GONE),
    TransitionKind.ADMIT: (
        GONE,
        following(GONE, custody=IN_AWAY, migration=None, eligibility__status=Status.ACTIVE),
    ),
    TransitionKind.REFUSE: (GONE, GONE),
    TransitionKind.RETURN: (
        GONE,
        following(
            GONE,
            custody=Custody(zone=HOME.zone, term=2, binding=0, host=HOST),
            migration=None,
            eligibility__status=Status.ACTIVE,
            trust__events=GONE.trust.events | {AWAY.zone.hex(): Events(refused=1)},
        ),
    ),
    TransitionKind.ACCUSE: (
        ACTIVE,
        following(
            ACTIVE,
            trust__events=ACTIVE.trust.events | {AWAY.zone.hex(): Events(liars=(2,), tolerated=1)},
        ),
    ),
    TransitionKind.AMEND: (
        ACTIVE,
        following(ACTIVE, governance__documents=(digest(b"a successor"),), governance__version=2),
    ),
    TransitionKind.SUSPEND: (
        ACTIVE,
        following(
            ACTIVE, eligibility__is_suspended=True, governance__ordered_ms={Matter.SUSPENSION: 5}
        ),
    ),
    TransitionKind.RESUME: (
        SUSPENDED,
        following(
            SUSPENDED,
            eligibility__is_suspended=False,
            governance__ordered_ms={Matter.SUSPENSION: 6},
        ),
    ),
    TransitionKind.QUARANTINE: (
        ACTIVE,
        following(
            ACTIVE, eligibility__is_quarantined=True, governance__ordered_ms={Matter.QUARANTINE: 5}
        ),
    ),
    TransitionKind.LIFT: (
        QUARANTINED,
        following(
            QUARANTINED,
            eligibility__is_quarantined=False,
            governance__ordered_ms={Matter.QUARANTINE: 6},
        ),
    ),
    TransitionKind.RETIRE: (
        ACTIVE,
        following(
            ACTIVE,
            eligibility__status=Status.RETIRED,
            eligibility__wake=(),
            governance__ordered_ms={Matter.END: 5},
        ),
    ),
    TransitionKind.REVOKE: (
        ACTIVE,
        following(
            ACTIVE,
            eligibility__status=Status.REVOKED,
            eligibility__wake=(),
            governance__ordered_ms={Matter.END: 5},
        ),
    ),
    TransitionKind.FORGIVE: (
        ACTIVE,
        following(ACTIVE, trust__events={}, governance__ordered_ms={Matter.EVENTS: 5}),
    ),
    TransitionKind.GRANT: (
        ACTIVE,
        following(
            ACTIVE,
            eligibility__budgets={
                "orders": Budget(limit=12, spent=4),
                "cost_micros": Budget(limit=100, spent=50),
            },
            governance__ordered_ms={Matter.BUDGETS: 5},
        ),
    ),
    TransitionKind.UPGRADE: (ACTIVE, WAITING),
    TransitionKind.ERASE: (
        ACTIVE,
        following(
            ACTIVE, memory=erased(MEMORY, [KEY.key]), governance__ordered_ms={Matter.MEMORY: 5}
        ),
    ),
}
