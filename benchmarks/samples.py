"""A zone's manifest, a policy document and an agent's record, of keys made up on the spot."""

import secrets
import time
from functools import cache
from typing import Final

from sojourn.core.agent.capabilities import Capabilities, Requirements
from sojourn.core.agent.eligibility import Eligibility, Status
from sojourn.core.agent.governance import Document, Governance, Officers, issuer_id
from sojourn.core.agent.lineage import Lineage
from sojourn.core.agent.memory.field import Memory
from sojourn.core.agent.record import AgentRecord, Custody
from sojourn.core.agent.trust import Trust, TrustedIssuer
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.keys import KeyPair
from sojourn.core.zone.manifest import AnchorEntry, Attributes, Endpoint, ZoneManifest

__all__ = ["CODE", "PERMIT_ALL", "document", "issuer", "manifest", "record"]

PERMIT_ALL: Final = "permit (principal, action, resource);"
CODE: Final = encode({"agent.py": b"pass"})
"""The code of an agent that nobody runs."""

_YEAR_MS: Final = 365 * 24 * 3600 * 1000


@cache
def issuer() -> KeyPair:
    """Return the key of whoever issues the policies of this run."""
    return KeyPair(secrets.token_bytes(32))


def document(cedar: str = PERMIT_ALL, *, name: str, actions: tuple[str, ...] = ()) -> Document:
    """Return a policy document that holds for a year."""
    return Document(
        issuer="bench",
        name=name,
        version=1,
        officers=Officers(keys=(issuer().public,)),
        cedar=cedar,
        actions=actions,
        not_before_ms=0,
        not_after_ms=time.time_ns() // 1_000_000 + _YEAR_MS,
    )


def manifest(*, policy: str = PERMIT_ALL, actions: tuple[str, ...] = ()) -> ZoneManifest:
    """Return the manifest of a zone that does not run."""
    pairs = [KeyPair(secrets.token_bytes(32)) for _ in range(2)]
    anchor = AnchorEntry(
        identity=pairs[0].public,
        vote_key=pairs[1].public,
        endpoint=Endpoint(address="localhost", port=1),
        operator="bench",
    )
    return ZoneManifest(
        realm="bench",
        zone=ZERO,
        name="bench",
        epoch=0,
        anchors=(anchor,),
        f=0,
        hosts_root=digest(b"no hosts"),
        attributes=Attributes(
            provider="bench",
            region="here",
            country="Ireland",
            jurisdiction=("EU", "Ireland"),
            certifications=("iso27001", "soc2"),
        ),
        policy=policy,
        policy_actions=actions,
        not_after_ms=time.time_ns() // 1_000_000 + _YEAR_MS,
    )


def record(home: ZoneManifest, governing: Document) -> AgentRecord:
    """Return the first record of an agent at home in a zone, under one document."""
    return AgentRecord(
        realm=home.realm,
        agent=ZERO,
        version=0,
        parent=ZERO,
        custody=Custody(zone=home.zone_id, term=0, binding=0, host=None),
        migration=None,
        governance=Governance(
            documents=(digest_of(governing),), version=1, issuer=issuer_id(governing)
        ),
        memory=Memory(compartments={}),
        lineage=Lineage(),
        eligibility=Eligibility(status=Status.ACTIVE),
        trust=Trust(issuers=(TrustedIssuer(name="bench", key=issuer().public),)),
        capabilities=Capabilities(
            requires=Requirements(),
            code=digest(CODE),
            entry="agent:Agent",
            publisher=issuer().public,
        ),
    )
