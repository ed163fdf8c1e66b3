"""The exit drill: could the agent leave where it is, judged by its own policy now? Nothing is moved.

Judged is by what zones, hosts and issuers stated and sealed, as its own host would judge (protocol §5). Those
statements are part of the report, so that whoever reads it judges again and has the same answers.
"""

from typing import Final

from sojourn.audit import proving
from sojourn.audit.evidence import Evidence
from sojourn.audit.report import Drill, DrillPlace
from sojourn.audit.wording import brief
from sojourn.core.agent.eligibility import ACTING
from sojourn.core.base.digests import cid_text, digest
from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.policy.memo import Memo
from sojourn.core.protocol.assessment import Assessment, Finding, assess
from sojourn.core.protocol.gossip import KnownPlaces, News, Summary
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["STATEMENTS_BYTES_MAX", "drill", "hold_drill"]

STATEMENTS_BYTES_MAX: Final = 16 * 1024 * 1024
_LINE: Final = "drill"
_NOTHING: Final = Summary(zones=(), envelopes=(), endorsements=())
_DOES_NOT_SHOW: Final = (
    "that a zone would grant a visa and admit it: each of its anchors judges that anew, by its own policy and room",
    "that nothing else is known that speaks against a place: whoever made the drill chose what to show",
    (
        "that it could go without the zone where it is: a departure is decided by a quorum of that zone, and no zone "
        "takes up an agent from a capsule alone in this version"
    ),
    "that the zones it leaves forget what they hold: they keep copies",
)


def drill(evidence: Evidence, news: News) -> Drill:
    """Return the drill with what was stated about places. Raises `Misused` if nothing was, `Rejected` for forgeries.

    The present is when the newest envelope was issued: a report reads no clock.
    """
    at_ms = max((signed.envelope.issued_ms for signed in news.envelopes), default=0)
    if not at_ms:
        problem = "no host of any zone has stated anything: there is nothing to judge places by"
        raise Misused(problem, remedy="Ask a zone that knows others")
    known = KnownPlaces(evidence.record.realm, evidence.record.custody.zone, keeps_expired=True)
    known.rely_on(issuer.key for issuer in evidence.record.trust.issuers)
    known.learn(news, at_ms, None)
    return _drilled(evidence, known, at_ms)


def hold_drill(evidence: Evidence, statements: bytes) -> Drill:
    """Return the drill made again from the statements in a report. Raises as `drill`."""
    news = decode(statements, News, what="drill.statements", limit=STATEMENTS_BYTES_MAX)
    return drill(evidence, news)


def _drilled(evidence: Evidence, known: KnownPlaces, at_ms: int) -> Drill:
    statements = encode(known.lacking_in(_NOTHING))
    home = evidence.manifests[evidence.record.custody.zone]
    hindered = _hindered(evidence, at_ms)
    places = _Judge(evidence, known, at_ms, digest(statements)).places()
    ways = [place for place in places if place.may_go and not hindered]
    elsewhere = [place for place in ways if place.is_other_provider]
    left = [_bytes_in(evidence, place.stays) for place in elsewhere]
    return Drill(
        line=_LINE,
        at_ms=at_ms,
        zone_name=home.name,
        provider=home.attributes.provider,
        hindered=hindered,
        could_leave_zone=bool(ways),
        could_leave_provider=bool(elsewhere),
        has_all_with_it=not evidence.verified.left_behind,
        bytes_left=min(left, default=None),
        places=places,
        transcript=_transcript(evidence, home, hindered, places),
        shows=_shows(evidence),
        does_not_show=_DOES_NOT_SHOW,
        statements=statements,
        proof=proving.by_statements(_LINE, digest(statements)),
    )


def _hindered(evidence: Evidence, at_ms: int) -> tuple[str, ...]:
    """Return what keeps the agent from any departure, whatever the place (protocol §2, §4)."""
    record = evidence.record
    reasons: list[str] = []
    if record.eligibility.status not in ACTING or record.eligibility.is_held:
        reasons.append(f"it is {record.eligibility.describe()}")
    try:
        record.governance.governing(evidence.documents.values(), at_ms)
    except Rejected as error:
        reasons.append(error.problem)
    return tuple(reasons)


def _bytes_in(evidence: Evidence, names: tuple[str, ...]) -> int:
    return sum(evidence.record.memory.compartments[name].size for name in names)


class _Judge:
    """The agent at its newest version, before the places it knows."""

    def __init__(
        self, evidence: Evidence, known: KnownPlaces, at_ms: int, statements: bytes
    ) -> None:
        self._evidence, self._known, self._at_ms = evidence, known, at_ms
        self._home = evidence.manifests[evidence.record.custody.zone]
        self._memo = Memo()
        self._statements = statements

    def places(self) -> tuple[DrillPlace, ...]:
        """Return all places but the one where it is, by name."""
        others = [signed.manifest for signed in self._known.known_zones()]
        others = [each for each in others if each.zone_id != self._home.zone_id]
        others.sort(key=lambda each: (each.name, each.zone_id))
        return tuple(self._place(number, each) for number, each in enumerate(others, 1))

    def _place(self, number: int, place: ZoneManifest) -> DrillPlace:
        found = self._assess(place)
        line = f"place-{number}"
        return DrillPlace(
            line=line,
            zone=cid_text(place.zone_id),
            name=place.name,
            provider=place.attributes.provider,
            jurisdiction=place.attributes.jurisdiction,
            may_go=found.eligible,
            is_other_provider=place.attributes.provider != self._home.attributes.provider,
            governance=_said(found.governance),
            capability=_said(found.capability),
            trust=_said(found.trust),
            stays=found.stays,
            proof=proving.by_statements(line, self._statements),
        )

    def _assess(self, place: ZoneManifest) -> Assessment:
        return assess(
            self._evidence.record,
            tuple(self._evidence.documents.values()),
            place,
            self._known.envelopes_of(place.zone_id, self._at_ms),
            self._known.endorsements,
            self._home,
            self._memo,
            self._at_ms,
        )


def _said(finding: Finding) -> str:
    return f"{'yes' if finding.passes else 'no'}: {'; '.join(finding.reasons)}"


# --- in words ----------------------------------------------------------------------------------------


def _transcript(
    evidence: Evidence,
    home: ZoneManifest,
    hindered: tuple[str, ...],
    places: tuple[DrillPlace, ...],
) -> tuple[str, ...]:
    """Return the drill as sentences, in the order in which it was gone through."""
    behind = evidence.verified.left_behind
    held = f"all but {', '.join(behind)}, which stayed behind" if behind else "all of it"
    lines = [
        f"The agent is in {home.name}, of provider {home.attributes.provider}.",
        f"Its capsule holds record, policies, code and memory, {held}: read and verified without that zone.",
    ]
    lines += [f"It may go nowhere now: {reason}." for reason in hindered]
    for place in places:
        lines += _judged(place)
    if not places:
        lines.append("It knows of no other place.")
    ways = [place for place in places if place.may_go and not hindered]
    others = [place.name for place in ways if place.is_other_provider]
    lines.append(
        f"Leaving the zone: {_names([place.name for place in ways])}. "
        f"Leaving the provider: {_names(others)}."
    )
    return tuple(lines)


def _judged(place: DrillPlace) -> list[str]:
    whose = "another provider" if place.is_other_provider else "the same provider"
    if not place.may_go:
        answers = (
            ("governance", place.governance),
            ("capability", place.capability),
            ("trust", place.trust),
        )
        against = [f"{name} says {brief(said)}" for name, said in answers if said.startswith("no")]
        return [f"{place.name} ({whose}): no, for {'; '.join(against)}."]
    stays = f"{', '.join(place.stays)} would stay behind" if place.stays else "nothing would stay"
    return [f"{place.name} ({whose}): yes; {stays}."]


def _names(names: list[str]) -> str:
    return f"to {', '.join(names)}" if names else "to no place"


def _shows(evidence: Evidence) -> tuple[str, ...]:
    behind = evidence.verified.left_behind
    content = f" (without {', '.join(behind)})" if behind else ""
    return (
        (
            "which of the places stated it may travel to and execute in, by its own policies, those zones' own, its "
            "trust, and what their hosts offered at that moment"
        ),
        (
            f"that its record, policies, code and memory{content} are in the capsule, whole, and need nobody's leave "
            "to be read"
        ),
        "which data its residency would keep from going along",
    )
