"""Protocol §10.38: word that a letter was not read shows the letter, who sent it, and its receiver's end."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Budget, Status, Wake
from sojourn.core.agent.memory.blocks import MissingBlock, NewBlocks, NoBlocks
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.admission import child
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.letters import Letter, Said
from sojourn.core.protocol.missing import Missing
from sojourn.core.protocol.unread import Unread, check_unread, is_over, was_read
from tests import samples
from tests.rulings import PureZone, World
from tests.unit.core.protocol.test_letters import letter_of, proved


def ended(
    world: World, zone: PureZone, head: Certified, status: Status = Status.RETIRED
) -> Certified:
    """Return the head behind one, with another status, as a zone certifies it."""
    record = head.record
    eligibility = replace(record.eligibility, status=status, wake=())
    after = child(record, head.certificate.slot, eligibility=eligibility)
    proposal = world.propose(TransitionKind.STEP, head, after, samples.key("host"))
    slot = replace(head.certificate.slot, group=zone.zone, version=after.version)
    return zone.sample.certified(proposal.transition, slot)


class Scene:
    """A sender in zone a, and a receiver that has ended in zone b."""

    def __init__(self) -> None:
        """Have both launched, and the letter written."""
        self.world = World("a", "b")
        self.a, self.b = self.world.zones
        self.to, self.sender = self.world.launch(self.b), self.world.launch(self.a)
        self.letter = self.written(self.to.record.agent_id)

    def written(self, to: bytes) -> Letter:
        """Return a letter of zone a's agent."""
        return letter_of(self.world, self.a, self.sender, Said(to=to, value="hello"))

    def word(self, letter: Letter | None = None, end: Certified | None = None) -> Unread:
        """Return word of a letter, with the chapters of the receiver stored in the sender's zone."""
        end = end or ended(self.world, self.b, self.to)
        named = self.world.shown(self.b.anchors[0].past(end.record.agent_id), self.a)
        manifests = tuple(zone.sample.signed for zone in self.world.zones)
        return Unread(letter=letter or self.letter, ended=end, chapters=named, manifests=manifests)

    def refused(self, unread: Unread) -> str:
        """Return why an anchor of the sender's zone refuses word."""
        with pytest.raises(Rejected) as caught:
            check_unread(unread, self.a.anchors[0].view())
        return caught.value.reason


def test_section_10_38_the_senders_zone_is_shown_that_the_receiver_has_ended() -> None:
    s = Scene()
    check_unread(s.word(), s.a.anchors[0].view())
    assert (s.letter.sender, s.b.zone) == (s.word().agent, s.word().zone)
    assert "" == s.word().answers
    dormant = ended(s.world, s.b, s.to, Status.DORMANT)
    check_unread(s.word(end=dormant), s.a.anchors[0].view())


def test_section_10_38_what_proves_it_is_asked_for_where_it_is_not_at_hand() -> None:
    s = Scene()
    unread = s.word()
    bare = replace(unread, chapters=(), manifests=())
    assert "truncated" == s.refused(bare)
    world = World("a", "b", "c")
    a, b, c = world.zones
    to = world.launch(b)
    letter = letter_of(world, a, world.launch(a), Said(to=to.record.agent_id, value="hello"))
    named = world.shown(b.anchors[0].past(to.record.agent_id))
    manifests = tuple(zone.sample.signed for zone in world.zones)
    shown = Unread(
        letter=proved(world, a, letter, c),
        ended=ended(world, b, to),
        chapters=named,
        manifests=manifests,
    )
    with pytest.raises(Missing) as missing:
        check_unread(shown, c.anchors[0].view())
    assert ("blocks", named) == (missing.value.what, missing.value.digests)


def test_section_10_38_nobody_makes_word_up() -> None:
    s = Scene()
    others = replace(s.word(), ended=ended(s.world, s.a, s.sender))
    assert "wrong-agent" == s.refused(others), "another agent's end"
    assert "wrong-agent" == s.refused(s.word(end=s.to)), "it goes on"
    asleep = replace(s.to.record.eligibility, status=Status.DORMANT, wake=(Wake(on_message=True),))
    assert not is_over(replace(s.to.record, eligibility=asleep))
    said = replace(s.letter, spelled=s.written(s.a.zone).spelled)
    assert "wrong-value" == s.refused(s.word(said)), "other words"


def test_section_10_38_a_zone_that_never_had_the_receiver_ends_nobody() -> None:
    s = Scene()
    claimed = ended(s.world, s.a, s.to)
    assert s.refused(replace(s.word(), ended=claimed)) in (
        "wrong-agent",
        "wrong-slot",
        "wrong-term",
    )


@pytest.mark.parametrize(
    ("status", "wake", "left", "over"),
    [
        (Status.RETIRED, (), 5, True),
        (Status.REVOKED, (), 5, True),
        (Status.ACTIVE, (), 5, False),
        (Status.DORMANT, (), 5, True),
        (Status.DORMANT, (Wake(at_ms=1),), 5, False),
        (Status.DORMANT, (), 0, False),
    ],
)
def test_who_has_ended_reads_no_more_and_who_lacks_steps_may_yet(
    status: Status, wake: tuple[Wake, ...], left: int, over: bool
) -> None:
    record = Scene().to.record
    budgets = {"steps": Budget(limit=5, spent=5 - left)}
    eligibility = replace(record.eligibility, status=status, wake=wake, budgets=budgets)
    assert over is is_over(replace(record, eligibility=eligibility))


def test_a_letter_was_read_if_one_of_its_sender_was_that_is_not_older() -> None:
    s = Scene()
    new = NewBlocks(NoBlocks())
    for read, version in ((False, -1), (True, 0), (True, 1)):
        key = f"from/{s.letter.sender.hex()}"
        inbox = Mapping.load(bytes(32), new)
        root = inbox.put(key, s.letter.version + version).commit(new).root
        record = replace(s.to.record, memory=replace(s.to.record.memory, inbox=root))
        assert read is was_read(s.letter, record, new)
    with pytest.raises(MissingBlock):
        was_read(s.letter, record, NoBlocks())
