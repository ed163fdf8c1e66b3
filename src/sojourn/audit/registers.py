"""Registers: the policies that ruled, the zones and providers, the hosts, and whose code it was."""

from collections.abc import Iterator

from msgspec import UNSET

from sojourn.audit import proving
from sojourn.audit.evidence import Evidence
from sojourn.audit.report import HostLine, ProviderLine, PublisherLine, RuleLine, ZoneLine
from sojourn.core.agent.governance import issuer_id
from sojourn.core.agent.succession import Sealed
from sojourn.core.base.digests import cid_text
from sojourn.core.base.seals import Seal
from sojourn.core.protocol.custody import Certified

__all__ = ["host_lines", "provider_lines", "publisher_lines", "rule_lines", "zone_lines"]


def rule_lines(evidence: Evidence) -> Iterator[RuleLine]:
    """Yield each policy document that is named by a version shown and is in the capsule, from when on it ruled."""
    since: dict[bytes, int] = {}
    for done in evidence.decided:
        for named in done.record.governance.documents:
            since.setdefault(named, done.record.version)
    parents = evidence.verified.parents
    launched = parents[-1].first if parents else evidence.verified.capsule.chapters[0]
    warrant, first = launched.warrant, launched.opened.record.governance.documents
    seals = dict(zip(first, warrant.documents if warrant else (), strict=False))
    later = {each.document: each for each in evidence.verified.capsule.chapters[-1].succession}
    known = evidence.documents
    leading = {done.record.governance.documents[0] for done in evidence.decided}  # the issuer's
    for number, (named, version) in enumerate(sorted(since.items(), key=lambda one: one[1]), 1):
        document = known.get(named)
        if document is None:
            continue
        line = f"rule-{number}"
        yield RuleLine(
            line=line,
            digest=cid_text(named),
            issuer=cid_text(
                evidence.record.governance.issuer if named in leading else issuer_id(document)
            ),
            issuer_name=document.issuer,
            name=document.name,
            version=document.version,
            not_before_ms=document.not_before_ms,
            not_after_ms=document.not_after_ms,
            officers=tuple(key.hex() for key in document.officers.keys),
            sealed_by=_signers(later[named].seals if named in later else seals.get(named, ())),
            from_version=version,
            cedar=document.cedar,
            proof=proving.by_document(line, named),
            under=_under(later.get(named)),
        )


def _under(sealed: Sealed | None) -> tuple[str, ...]:
    """Return the delegates that lead from an issuer to who sealed a document; none for its own officers."""
    if sealed is None or sealed.delegated is UNSET:
        return ()
    return sealed.delegated.mandate.names


def _signers(seals: tuple[Seal, ...]) -> tuple[str, ...]:
    return tuple(sorted({seal.signer.hex() for seal in seals}))


def zone_lines(evidence: Evidence) -> Iterator[ZoneLine]:
    """Yield the zones that certified something, by name."""
    ordered = sorted(evidence.manifests.values(), key=lambda one: (one.name, one.zone_id))
    for number, manifest in enumerate(ordered, 1):
        at, line = manifest.attributes, f"zone-{number}"
        yield ZoneLine(
            line=line,
            zone=cid_text(manifest.zone_id),
            name=manifest.name,
            provider=at.provider,
            region=at.region,
            country=at.country,
            jurisdiction=at.jurisdiction,
            certifications=at.certifications,
            operators=tuple(sorted({anchor.operator for anchor in manifest.anchors})),
            anchors=len(manifest.anchors),
            f=manifest.f,
            policy=manifest.policy,
            proof=proving.by_manifest(line, manifest),
        )


def provider_lines(zones: tuple[ZoneLine, ...]) -> Iterator[ProviderLine]:
    """Yield the providers that zones name, and their zones."""
    for number, provider in enumerate(sorted({zone.provider for zone in zones}), 1):
        mine = [zone for zone in zones if zone.provider == provider]
        line = f"provider-{number}"
        yield ProviderLine(
            line=line,
            provider=provider,
            zone_names=tuple(zone.name for zone in mine),
            proof=proving.by_lines(line, tuple(zone.line for zone in mine)),
        )


def host_lines(evidence: Evidence) -> Iterator[HostLine]:
    """Yield the hosts that the agent was bound to, as far as it is shown, each time that changed."""
    before: tuple[bytes, bytes | None] | None = None
    for done in evidence.decided:
        custody = done.record.custody
        now = (custody.zone, custody.host)
        if custody.host is not None and now != before:
            line = f"host-v{done.record.version}"
            yield HostLine(
                line=line,
                host=custody.host.hex(),
                zone_name=evidence.name_of(custody.zone),
                from_version=done.record.version,
                from_ms=done.transition.at_ms,
                proof=proving.by_transition(line, done),
            )
        before = now


def publisher_lines(evidence: Evidence) -> Iterator[PublisherLine]:
    """Yield the code and its publisher: as the genesis says, and each upgrade adopted, as far as it is shown.

    Whoever sealed what says so is named: the officers of the launch, then those who ordered the upgrade.
    """
    born = evidence.verified.capsule.chapters[0]
    launched_by = _signers(born.warrant.genesis if born.warrant else ())
    has = born.opened.record.capabilities
    yield _publisher("publisher-1", born.opened, launched_by)
    for done in evidence.decided:
        now = done.record.capabilities
        if now.adopted != has.adopted and now.adopted is not UNSET:
            sealed_by = _signers(now.adopted.seals)
            yield _publisher(f"publisher-v{done.record.version}", done, sealed_by)
        has = now


def _publisher(line: str, done: Certified, sealed_by: tuple[str, ...]) -> PublisherLine:
    capabilities = done.record.capabilities
    return PublisherLine(
        line=line,
        code=cid_text(capabilities.code),
        entry=capabilities.entry,
        publisher=capabilities.publisher.hex(),
        sealed_by=sealed_by,
        proof=proving.by_transition(line, done),
    )
