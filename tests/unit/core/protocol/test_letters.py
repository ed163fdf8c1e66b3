"""Protocol §10.26: a letter is its sender's, and no zone that never had the sender can make one up."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import cid_text, digest
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.admission import child
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.letters import Letter, Said, check_letter, effect_key
from sojourn.core.protocol.messages import Intent
from sojourn.core.protocol.missing import Missing
from tests import samples
from tests.rulings import PureZone, World

TO = digest(b"receiver")


def letter_of(
    world: World, zone: PureZone, head: Certified, said: Said | None = None, **changes: Any
) -> Letter:
    """Return a letter that a zone certifies for the agent at `head`, whether or not it may."""
    said = said or Said(to=TO, value="hello")
    spelled = encode(((said,), {}))
    record = head.record
    key = effect_key(record.agent_id, record.custody.term, record.version + 1)
    intent = Intent(
        step="ctx.send",
        action="message",
        effect="idempotent",
        key=key,
        arguments=digest(spelled),
        counterpart=cid_text(said.to),
    )
    intent = replace(intent, **changes)
    eligibility = replace(record.eligibility, last_decision=digest_of(intent))
    after = child(record, head.certificate.slot, eligibility=eligibility)
    proposal = world.propose(TransitionKind.INTEND, head, after, samples.key("host"))
    slot = replace(head.certificate.slot, group=zone.zone, version=after.version)
    final = zone.sample.certified(proposal.transition, slot)
    return Letter(intent=intent, final=final, spelled=spelled)


def proved(world: World, source: PureZone, letter: Letter, *targets: PureZone) -> Letter:
    """Return a letter with the chapters of its sender, which are stored in some zones."""
    named = world.shown(source.anchors[0].past(letter.sender), *targets)
    return replace(letter, chapters=named, manifests=tuple(z.sample.signed for z in world.zones))


def refused(letter: Letter, at: PureZone) -> str:
    """Return why an anchor of a zone refuses a letter."""
    with pytest.raises(Rejected) as caught:
        check_letter(letter, at.anchors[0].view())
    return caught.value.reason


def test_section_10_26_a_zone_knows_its_own_agents_and_others_prove_themselves() -> None:
    world = World("a", "b")
    a, b = world.zones
    letter = letter_of(world, a, world.launch(a))
    check_letter(letter, a.anchors[0].view())
    assert "truncated" == refused(letter, b)
    shown = proved(world, a, letter)
    with pytest.raises(Missing) as missing:
        check_letter(shown, b.anchors[0].view())
    assert ("blocks", shown.chapters) == (missing.value.what, missing.value.digests)
    check_letter(proved(world, a, letter, b), b.anchors[0].view())
    assert shown.digest == letter.digest


def test_section_10_26_who_had_custody_once_speaks_for_that_term_alone() -> None:
    world = World("a", "b", "c")
    a, b, c = world.zones
    head = world.move(a, b, world.launch(a))
    check_letter(proved(world, b, letter_of(world, b, head), c), c.anchors[0].view())
    later = letter_of(world, a, head)
    assert "wrong-slot" == refused(proved(world, b, later, c), c)


def test_section_10_26_a_zone_that_never_had_the_sender_makes_no_letter_up() -> None:
    world = World("a", "b", "liars")
    a, b, liars = world.zones
    head = world.launch(a)
    record = replace(head.record, custody=replace(head.record.custody, zone=liars.zone))
    claimed = replace(head, transition=replace(head.transition, record=record))
    forged = letter_of(world, liars, claimed)
    assert "wrong-term" == refused(proved(world, a, forged, b), b)
    own = world.launch(liars)
    chapters = world.shown(liars.anchors[0].past(own.record.agent_id), b)
    manifests = tuple(zone.sample.signed for zone in world.zones)
    shown = replace(forged, chapters=chapters, manifests=manifests)
    assert "wrong-agent" == refused(shown, b)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"action": "ledger.enter"}, "wrong-agent"),
        ({"counterpart": cid_text(digest(b"somebody else"))}, "wrong-agent"),
        ({"arguments": digest(b"other words")}, "wrong-value"),
        ({"key": "another key"}, "wrong-key"),
        ({"follows": 99}, "bad-field"),
    ],
)
def test_section_10_26_a_letter_is_what_its_intent_names(
    changes: dict[str, Any], reason: str
) -> None:
    world = World("a")
    (a,) = world.zones
    assert reason == refused(letter_of(world, a, world.launch(a), **changes), a)


def test_section_10_26_nobody_changes_a_letter_on_its_way() -> None:
    world = World("a")
    (a,) = world.zones
    letter = letter_of(world, a, world.launch(a))
    other = encode(((Said(to=TO, value="goodbye"),), {}))
    assert "wrong-value" == refused(replace(letter, spelled=other), a)
    assert "no-intent" == refused(replace(letter, intent=replace(letter.intent, tokens=1)), a)
    stepped = replace(letter.final.transition, kind=TransitionKind.STEP)
    assert "no-intent" == refused(
        replace(letter, final=replace(letter.final, transition=stepped)), a
    )


def test_what_a_letter_says_is_at_most_64_kib_and_has_no_links() -> None:
    world = World("a")
    (a,) = world.zones
    head = world.launch(a)
    long = letter_of(world, a, head, Said(to=TO, value="x" * 65_536))
    assert "too-large" == refused(long, a)
