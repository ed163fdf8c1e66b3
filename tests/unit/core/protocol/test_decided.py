"""What was decided between the ends of terms: certified, in its term, in succession; and by whose orders."""

import io
from collections.abc import Callable
from functools import cache

import msgspec
import pytest

from sojourn.core.agent.orders import Act
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.admission import child
from sojourn.core.protocol.capsule import Capsule, Closure, block_names, capsule_head, load_capsule
from sojourn.core.protocol.car import CarReader, car_section
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.decided import decided, is_behind, order_behind
from tests.samples import found
from tests.unit.audit.scene import life
from tests.unit.core.protocol.capsules import made

replace = msgspec.structs.replace


@cache
def whole() -> tuple[Capsule, bytes]:
    """Return the evidence of a life with all that was decided, and the blocks after it."""
    data = life()[0]
    capsule = load_capsule(io.BytesIO(data)).capsule
    reader = CarReader(io.BytesIO(data), what="capsule")
    reader.next_section(1 << 26)
    return capsule, data[reader.offset :]


def load(capsule: Capsule) -> Capsule:
    return load_capsule(io.BytesIO(capsule_head(capsule) + whole()[1])).capsule


def reason(capsule: Capsule) -> str:
    with pytest.raises(Rejected) as caught:
        load(capsule)
    return caught.value.reason


def test_all_that_was_decided_holds_in_order_of_versions() -> None:
    capsule = load(whole()[0])
    shown = [done.record.version for done in capsule.decided]
    assert list(range(capsule.head.record.version + 1)) == shown
    kinds = {done.transition.kind for done in capsule.history}
    assert {TransitionKind.STEP, TransitionKind.INTEND, TransitionKind.BIND} <= kinds


def test_what_is_left_out_leaves_the_rest_as_it_is() -> None:
    capsule = whole()[0]
    for index in range(len(capsule.history)):
        fewer = replace(
            capsule,
            history=capsule.history[:index] + capsule.history[index + 1 :],
            orders=(),
        )
        assert len(load(fewer).decided) == len(capsule.decided) - 1


def other_transition(done: Certified) -> Certified:
    return replace(done, transition=replace(done.transition, reason="another"))


FORGERIES: dict[str, tuple[Callable[[Capsule], Capsule], str]] = {
    "one twice": (lambda c: replace(c, history=(c.history[0], *c.history)), "wrong-order"),
    "two exchanged": (
        lambda c: replace(c, history=(c.history[1], c.history[0], *c.history[2:])),
        "wrong-order",
    ),
    "the head again": (lambda c: replace(c, history=(*c.history, c.head)), "extra"),
    "an opening": (
        lambda c: replace(c, history=(c.chapters[0].opened, *c.history)),
        "wrong-kind",
    ),
    "a closing": (
        lambda c: replace(c, history=(*c.history, c.chapters[0].closed)),
        "wrong-kind",
    ),
    "another transition under the certificate": (
        lambda c: replace(c, history=(other_transition(c.history[0]), *c.history[1:])),
        "wrong-value",
    ),
    "another's certificate": (
        lambda c: replace(
            c,
            history=(
                replace(c.history[0], certificate=c.history[1].certificate),
                *c.history[1:],
            ),
        ),
        "wrong-slot",
    ),
    "of a term that is not shown": (
        lambda c: replace(
            c,
            chapters=c.chapters[:1],
            head=c.chapters[0].closed,
            manifests=tuple(m for m in c.manifests if m.manifest.name == "a"),
        ),
        "wrong-term",
    ),
    "an order twice": (lambda c: replace(c, orders=(c.orders[0], *c.orders)), "extra"),
    "orders exchanged": (lambda c: replace(c, orders=c.orders[::-1]), "extra"),
    "an order to something else": (
        lambda c: replace(
            c,
            orders=(
                replace(c.orders[0], order=replace(c.orders[0].order, act=Act.RETIRE)),
                *c.orders[1:],
            ),
        ),
        "extra",
    ),
    "an order with another's seal": (
        lambda c: replace(c, orders=(replace(c.orders[0], seals=c.orders[1].seals),)),
        "bad-signature",
    ),
    "an order that nobody sealed": (
        lambda c: replace(c, orders=(replace(c.orders[0], seals=()),)),
        "below-threshold",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_was_tampered_with_is_rejected(name: str) -> None:
    forge, expected = FORGERIES[name]
    assert expected == reason(forge(whole()[0]))


# --- zones that lie --------------------------------------------------------------------------------------


def certified_after_head(**changes: object) -> Certified:
    """Return a step after the head of a handmade capsule, by its zone, whatever it is worth."""
    head = made().head
    record = child(head.record, head.certificate.slot, **changes)
    step = Transition(
        kind=TransitionKind.STEP,
        parent=head.record.digest,
        record=record,
        author=head.transition.author,
        at_ms=head.transition.at_ms,
    )
    return found("b", 1, jurisdiction=("US",)).certified(step)


def with_head(head: Certified) -> bytes:
    capsule = replace(made().capsule, head=head, history=(made().head,))
    closure, blocks = Closure(block_names(capsule)), []
    while (named := closure.next) is not None:
        blocks.append(car_section(made().blocks[named]))
        closure.take(made().blocks[named])
    return capsule_head(capsule) + b"".join(blocks)


def test_a_version_that_is_shown_after_its_parent_must_follow_from_it() -> None:
    assert load_capsule(io.BytesIO(with_head(certified_after_head())))
    gone = dict(made().head.record.memory.compartments)
    gone["empty"] = replace(gone["empty"], labels=("public",))
    relabelled = certified_after_head(memory=replace(made().head.record.memory, compartments=gone))
    with pytest.raises(Rejected, match="may not relabel"):
        load_capsule(io.BytesIO(with_head(relabelled)))
    stranger = certified_after_head()
    stranger = found("b", 1, jurisdiction=("US",)).certified(
        replace(stranger.transition, parent=ZERO)
    )
    with pytest.raises(Rejected, match="follows another version"):
        load_capsule(io.BytesIO(with_head(stranger)))


# --- orders ----------------------------------------------------------------------------------------------


def suspension() -> Certified:
    return next(d for d in whole()[0].decided if d.transition.kind is TransitionKind.SUSPEND)


def test_of_what_is_shown_only_the_order_that_was_carried_out_is_kept() -> None:
    capsule = whole()[0]
    documents = {digest_of(d): d for d in load_capsule(io.BytesIO(life()[0])).documents}
    first, second = capsule.orders
    done = suspension()
    assert is_behind(first, done)
    assert not is_behind(second, done)
    stranger = KeyPair(digest(b"a stranger"))
    covered = statement(Kind.ORDER, Role.ISSUER, digest_of(first.order))
    seal = Seal(signer=stranger.public, signature=stranger.sign(covered))
    forged = replace(first, seals=(seal,))
    assert first == order_behind(done, [None, second, forged, first], documents)
    assert order_behind(done, [second, forged], documents) is None
    assert order_behind(done, [first], {}) is None, "nobody knows whose officers they are"


def test_decided_counts_a_transition_that_ends_a_term_once() -> None:
    capsule = whole()[0]
    gone = capsule.chapters[0].closed
    assert gone is not None
    shown = decided(capsule.chapters[:1], (), gone)
    assert [0, gone.record.version] == [done.record.version for done in shown]


def test_places_say_where_each_block_stands() -> None:
    data = life()[0]
    places: dict[bytes, tuple[int, int]] = {}
    verified = load_capsule(io.BytesIO(data), places)
    assert verified.blocks == len(places)
    for named, (offset, size) in places.items():
        assert named == digest(data[offset : offset + size])
