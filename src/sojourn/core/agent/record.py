"""The agent record: the six fields at one version. It is what travels.

The agent's identifier is the digest of its genesis record, in which the identifier itself is all zeros.
"""

from functools import cached_property

from msgspec import UNSET

from sojourn.core.agent.capabilities import Capabilities
from sojourn.core.agent.eligibility import Eligibility
from sojourn.core.agent.governance import Governance
from sojourn.core.agent.lineage import Lineage
from sojourn.core.agent.memory.field import Memory
from sojourn.core.agent.trust import Trust
from sojourn.core.base.digests import ZERO
from sojourn.core.base.encoding import Count, Digest, Name, PublicKey, Value, digest_of

__all__ = ["AgentRecord", "Custody", "Fence", "Migration"]

Fence = tuple[int, int]
"""(term, binding): who may act. A later fence always wins."""


class Custody(Value):
    """The right to propose the next transition: zone, term, binding and bound host.

    `term` rises with every change of zone, `binding` with every change of host within a term. `host` is None
    until a host of the zone binds the agent.
    """

    zone: Digest
    term: Count
    binding: Count
    host: PublicKey | None

    @property
    def fence(self) -> Fence:
        """The pair (term, binding)."""
        return (self.term, self.binding)


class Migration(Value):
    """Where a departed agent is going: zone, the manifest it was judged by, visa, and the term it will have."""

    to_zone: Digest
    to_manifest: Digest
    visa: Digest
    next_term: Count


class AgentRecord(Value, dict=True, tag_field="kind", tag="agent-record/1"):
    """The header of the six fields at one version.

    `parent` is the digest of the version before. A first version has none: there it holds bytes of chance, so
    that the same file launched twice, under documents that are signed already, makes two agents.
    """

    realm: Name
    agent: Digest
    version: Count
    parent: Digest
    custody: Custody
    migration: Migration | None
    governance: Governance
    memory: Memory
    lineage: Lineage
    eligibility: Eligibility
    trust: Trust
    capabilities: Capabilities

    @property
    def agent_id(self) -> bytes:
        """The agent's identifier: its genesis record's digest."""
        return self.agent if self.agent != ZERO else self.digest

    @property
    def is_spawned(self) -> bool:
        """Whether another agent spawned it. A fork of one that was has ancestors as well, and officers' seals."""
        return bool(self.eligibility.ancestors) and self.lineage.forked is UNSET

    @property
    def proofs(self) -> tuple[bytes, ...]:
        """The roots of what proves it beside its memory, and is stored wherever it is: its parentage, if any."""
        return (self.lineage.parentage,) if self.lineage.parentage is not None else ()

    @cached_property
    def digest(self) -> bytes:
        """The digest of the canonical encoding: what the next version names as its parent."""
        return digest_of(self)
