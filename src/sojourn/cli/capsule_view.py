"""A verified capsule in plain words: what it proves, what it does not, and the agent in it."""

import msgspec

from sojourn.cli.agent_view import AgentShown, agent_shown, render_agent
from sojourn.cli.output import counted, say, table, when
from sojourn.core.agent.governance import issuer_id
from sojourn.core.base.digests import cid_text
from sojourn.core.protocol.capsule import VerifiedCapsule
from sojourn.core.protocol.custody import Certified

__all__ = ["CapsuleShown", "render_capsule", "render_proof", "shown_capsule"]

_UNPROVED = (
    "that this is the agent's newest version: ask the zone that it was in last",
    "that a zone is who its name says: compare its identifier with one that you know",
    "that an issuer is who its name says: compare its identifier with one that you know",
    "that hosts computed correctly: certificates prove a unique, authorised history",
    "anything against a zone of which more than f anchors lied together",
)


class ZoneNamed(msgspec.Struct, frozen=True, kw_only=True):
    """A zone that certified something in a capsule."""

    name: str
    zone: str
    provider: str
    region: str
    anchors: int
    quorum: int


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A certified transition of the itinerary. `at_ms` is its author's time, `signers` anchors' indexes."""

    kind: str
    zone_name: str
    term: int
    version: int
    at_ms: int
    signers: tuple[int, ...]
    reason: str = ""


class DocumentNamed(msgspec.Struct, frozen=True, kw_only=True):
    """A policy document that rules the agent. `issuer_id` is proved, `issuer` what it calls itself."""

    issuer: str
    issuer_id: str
    name: str
    version: int
    digest: str
    not_after_ms: int
    outside_effects: bool
    cedar: str


class CapsuleShown(msgspec.Struct, frozen=True, kw_only=True):
    """A capsule that was verified. `size` counts bytes of blocks, the evidence aside."""

    agent: AgentShown
    zones: tuple[ZoneNamed, ...]
    itinerary: tuple[Event, ...]
    documents: tuple[DocumentNamed, ...]
    left_behind: tuple[str, ...]
    blocks: int
    size: int
    proved: tuple[str, ...]
    not_proved: tuple[str, ...]


def shown_capsule(verified: VerifiedCapsule) -> CapsuleShown:
    """Return a verified capsule as it is shown."""
    head = verified.capsule.head
    issuer = head.record.governance.issuer  # the first document's, whoever its officers are by now
    zone = verified.manifests[head.record.custody.zone]
    zones = tuple(
        ZoneNamed(
            name=manifest.name,
            zone=cid_text(manifest.zone_id),
            provider=manifest.attributes.provider,
            region=manifest.attributes.region,
            anchors=len(manifest.anchors),
            quorum=manifest.committee.quorum,
        )
        for manifest in verified.manifests.values()
    )
    return CapsuleShown(
        agent=agent_shown(head, verified.documents, name="", zone_name=zone.name),
        zones=zones,
        itinerary=_itinerary(verified),
        documents=tuple(
            DocumentNamed(
                issuer=document.issuer,
                issuer_id=cid_text(issuer if place == 0 else issuer_id(document)),
                name=document.name,
                version=document.version,
                digest=cid_text(named),
                not_after_ms=document.not_after_ms,
                outside_effects=document.outside_effects,
                cedar=document.cedar,
            )
            for place, (named, document) in enumerate(
                zip(head.record.governance.documents, verified.documents, strict=True)
            )
        ),
        left_behind=verified.left_behind,
        blocks=verified.blocks,
        size=verified.size,
        proved=_proved(verified),
        not_proved=_not_proved(verified),
    )


def _itinerary(verified: VerifiedCapsule) -> tuple[Event, ...]:
    events: list[Certified] = []
    for chapter in verified.capsule.chapters:
        parts = (chapter.refusal, chapter.opened, chapter.closed)
        events += [part for part in parts if part is not None]
    head = verified.capsule.head
    if head.transition != events[-1].transition:
        events.append(head)
    return tuple(
        Event(
            kind=str(item.transition.kind),
            zone_name=verified.manifests[item.certificate.slot.group].name,
            term=item.certificate.slot.term,
            version=item.certificate.slot.version,
            at_ms=item.transition.at_ms,
            signers=tuple(item.certificate.signers()),
            reason=item.transition.reason,
        )
        for item in events
    )


def _proved(verified: VerifiedCapsule) -> tuple[str, ...]:
    record = verified.record
    count = sum(
        part is not None
        for chapter in verified.capsule.chapters
        for part in (chapter.opened, chapter.closed, chapter.refusal)
    )
    zones = len(verified.manifests)
    custody = f"{counted(count, 'certificate')}, each by a quorum of the zone that held the agent or refused it"
    return (
        f"{counted(zones, 'zone')} by their identifiers: each manifest is sealed by all its anchors",
        f"every change of custody since genesis: {custody}",
        f"version {record.version} of the record, certified in the term that the last of them opened",
        f"{counted(len(verified.documents), 'policy document')} and the code, byte for byte as the record names them",
        "the officers' seals, as many as are needed: of its genesis, and of each policy document",
        f"memory, byte for byte as the record names it: {counted(verified.blocks, 'block')}, {verified.size} bytes",
    )


def _not_proved(verified: VerifiedCapsule) -> tuple[str, ...]:
    behind = verified.left_behind
    if not behind:
        return _UNPROVED
    names = ", ".join(behind)
    return (f"the content of what stayed behind in other zones: {names}", *_UNPROVED)


def render_proof(shown: CapsuleShown) -> None:
    """Print what a capsule proves."""
    agent = shown.agent
    say(f"verified: agent {agent.agent}")
    say(f"          {agent.status} in {agent.zone_name}, version {agent.version}")
    say("\nproved, with no network:")
    for sentence in shown.proved:
        say(f"  + {sentence}")
    say("\nnot proved:")
    for sentence in shown.not_proved:
        say(f"  - {sentence}")


def render_capsule(shown: CapsuleShown) -> None:
    """Print the agent in a capsule."""
    render_agent(shown.agent)
    say("")
    table(
        ("itinerary", "zone", "term", "version", "at (UTC)", "anchors", "reason"),
        [
            (e.kind, e.zone_name, e.term, e.version, when(e.at_ms), _list(e.signers), e.reason)
            for e in shown.itinerary
        ],
    )
    say("")
    table(
        ("zone", "place", "decides", "identifier"),
        [
            (z.name, f"{z.provider} {z.region}", f"{z.quorum} of {z.anchors}", z.zone)
            for z in shown.zones
        ],
    )
    for document in shown.documents:
        until = when(document.not_after_ms)
        say(
            f"\npolicy {document.issuer}/{document.name}, version {document.version}, until {until}"
        )
        say(f"  issuer {document.issuer_id}")
        for line in document.cedar.strip().splitlines():
            say(f"  {line}")


def _list(items: tuple[int, ...]) -> str:
    return ", ".join(map(str, items))
