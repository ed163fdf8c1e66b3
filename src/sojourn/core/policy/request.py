"""What a policy is asked: may this agent do this, here, under these circumstances.

The fields are those of the published schema (`schema.py`), which gives their meaning and units.
Sets are tuples, sorted and distinct on construction, so that equal requests have equal bytes.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sojourn.core.base.encoding import Count, Name, Value, digest_of

__all__ = [
    "AgentEntity",
    "Effect",
    "PolicyRequest",
    "RequestContext",
    "RequestKey",
    "StringSet",
    "ZoneEntity",
]

Effect = Literal["none", "idempotent", "once"]
"""What an action does to the outside world (protocol §10)."""

StringSet = Annotated[tuple[Name, ...], Meta(max_length=256)]
"""A set of short strings, sorted and distinct."""


def _sort(value: Value, fields: Iterable[str]) -> None:
    for field in fields:
        members: tuple[str, ...] = getattr(value, field)
        if members:
            msgspec.structs.force_setattr(value, field, tuple(sorted(set(members))))


class _Entity(Value, dict=True):
    """A principal or resource: it outlives many requests, so it keeps its digest."""

    id: Name

    def digest(self) -> bytes:
        """Return the digest of the entity's canonical encoding, computed once."""
        return self._digest

    @cached_property
    def _digest(self) -> bytes:
        return digest_of(self)


class AgentEntity(_Entity):
    """The agent that asks. `id` is the text of its identifier, `depth` how many ancestors it has."""

    issuer: str
    code: str
    realm: Name
    depth: Count = 0


class ZoneEntity(_Entity):
    """A zone as its signed manifest describes it. `id` is the text of its identifier.

    `price_micros` is millionths of a currency unit for a host-hour; None if unknown.
    """

    name: str
    provider: str
    region: str
    country: str
    anchors: Count
    operators: Count
    jurisdiction: StringSet = ()
    certifications: StringSet = ()
    accelerators: StringSet = ()
    price_micros: Count | None = None

    def __post_init__(self) -> None:
        """Sort the sets."""
        _sort(self, ("jurisdiction", "certifications", "accelerators"))


class RequestContext(Value):
    """The circumstances of one request. `cost_micros` is millionths of a currency unit."""

    labels: StringSet = ()
    labels_dropped: StringSet = ()
    residency: StringSet = ()
    residency_dropped: StringSet = ()
    effect: Effect = "none"
    step: str = ""
    cost_micros: Count = 0
    own_process: bool = False
    confined: bool = False
    counterpart: str | None = None
    outlives: bool = False
    secrets: StringSet = ()

    def __post_init__(self) -> None:
        """Sort the sets."""
        _sort(self, ("labels", "labels_dropped", "residency", "residency_dropped", "secrets"))


RequestKey = tuple[bytes, str, bytes, bytes | None, RequestContext]
"""Digest of the agent, action, digest of the zone, digest of the origin if there is one, circumstances."""


class PolicyRequest(Value, dict=True):
    """One question to every policy that has a say.

    `zone` is the target for "travel" and the zone where the agent is for everything else; `origin`
    is the zone that a travelling agent would leave, and None for everything else.
    """

    agent: AgentEntity
    action: Name
    zone: ZoneEntity
    origin: ZoneEntity | None = None
    context: RequestContext = RequestContext()

    @cached_property
    def key(self) -> RequestKey:
        """What equal requests have in common and no others do: for memories, and never stored."""
        origin = self.origin.digest() if self.origin else None
        return (self.agent.digest(), self.action, self.zone.digest(), origin, self.context)

    def digest(self) -> bytes:
        """Return the digest that names this request, computed once.

        It covers [digest of agent, action, digest of zone, digest of origin or null, context]: the
        entities' digests are computed once for all requests they appear in.
        """
        return self._digest

    @cached_property
    def _digest(self) -> bytes:
        return digest_of(self.key)
