"""Capsules: what holds proves itself with no network; what was touched is rejected, with the place."""

import dataclasses
import io
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest, link_to
from sojourn.core.base.encoding import digest_of, encode, encode_block
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.limits import CHAPTERS_MAX
from sojourn.core.protocol import capsule as capsules
from sojourn.core.protocol.admission import departed
from sojourn.core.protocol.capsule import (
    Capsule,
    Closure,
    VerifiedCapsule,
    block_names,
    capsule_head,
    load_capsule,
    make_capsule,
)
from sojourn.core.protocol.car import CarReader, car_header, car_section
from sojourn.core.protocol.visa import Visa, visa_slot, visa_terms
from sojourn.core.quorum.votes import Phase
from tests.samples import found, propose
from tests.unit.core.protocol.capsules import made, with_root

replace = msgspec.structs.replace


def load(data: bytes) -> VerifiedCapsule:
    return load_capsule(io.BytesIO(data))


def rejected(data: bytes) -> Rejected:
    with pytest.raises(Rejected) as caught:
        load(data)
    return caught.value


def test_a_capsule_proves_where_the_agent_has_been_and_what_it_remembers() -> None:
    verified = load(made().data)
    kinds = [chapter.opened.transition.kind for chapter in verified.capsule.chapters]
    assert [TransitionKind.GENESIS, TransitionKind.RETURN, TransitionKind.ADMIT] == kinds
    assert made().head == verified.capsule.head
    assert {"a", "b"} == {manifest.name for manifest in verified.manifests.values()}
    assert ("rules",) == tuple(document.name for document in verified.documents)
    sections = list(CarReader(io.BytesIO(made().data), what="capsule").sections(1 << 24))[1:]
    assert (len(sections), sum(len(each.data) for each in sections)) == (
        verified.blocks,
        verified.size,
    )


def test_what_stayed_behind_is_named_and_not_in_the_file() -> None:
    verified = load(made().data)
    kept = verified.record.memory.compartments["clients"]
    assert ("clients",) == verified.left_behind
    reader = CarReader(io.BytesIO(made().data), what="capsule")
    assert kept.root not in {section.named for section in reader.sections(1 << 24)}


def test_one_capsule_has_one_sequence_of_bytes() -> None:
    again = make_capsule(made().chapters, made().head, reversed(made().manifests), made().documents)
    assert made().capsule == again


def test_every_single_flipped_bit_of_structure_is_rejected() -> None:
    """Every bit of the header and of the root block's link and tag; every byte of a block's length and link."""
    data, sections = made().data, made().sections
    at = len(sections[0])
    places = [*range(140)]
    for section in sections[1:]:
        places += range(at, at + 40)
        at += len(section)
    for place in places:
        for bit in range(8) if place < 140 else (place % 8,):
            spoiled = bytearray(data)
            spoiled[place] ^= 1 << bit
            assert rejected(bytes(spoiled)).reason


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_flipped_bit_is_rejected(drawn: st.DataObject) -> None:
    spoiled = bytearray(made().data)
    place = drawn.draw(st.integers(0, len(spoiled) - 1))
    spoiled[place] ^= 1 << drawn.draw(st.integers(0, 7))
    error = rejected(bytes(spoiled))
    assert error.reason
    assert error.where


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_file_cut_anywhere_is_rejected(drawn: st.DataObject) -> None:
    data = made().data
    error = rejected(data[: drawn.draw(st.integers(0, len(data) - 1))])
    assert error.reason in {"truncated", "wrong-order"}


def test_a_file_cut_between_blocks_says_which_is_missing() -> None:
    for count in range(1, len(made().sections)):
        error = rejected(b"".join(made().sections[:count]))
        assert "truncated" == error.reason
        assert "which its record needs" in error.problem


@pytest.mark.parametrize("count", [1, 3])
def test_bytes_behind_the_last_block_are_rejected(count: int) -> None:
    assert rejected(made().data + b"\x00" * count).reason == "malformed"
    stray = car_section(encode_block({"stray": count}))
    assert "extra" == rejected(made().data + stray).reason


def test_repeated_missing_and_moved_blocks_are_rejected_where_they_stand() -> None:
    sections = made().sections
    for i in range(1, len(sections)):
        repeated = sections[: i + 1] + sections[i:]
        assert rejected(b"".join(repeated)).reason in {"wrong-order", "extra"}
        missing = sections[:i] + sections[i + 1 :]
        assert rejected(b"".join(missing)).reason in {"wrong-order", "truncated"}
    swapped = [*sections[:2], sections[3], sections[2], *sections[4:]]
    error = rejected(b"".join(swapped))
    assert "wrong-order" == error.reason
    assert f"capsule, byte {len(sections[0]) + len(sections[1])}" == error.where


def test_a_foreign_root_block_is_rejected() -> None:
    root = encode_block({"kind": "capsule/2"})
    data = car_header(digest(root)) + car_section(root)
    assert "unknown-version" == rejected(data).reason
    other = encode_block({"kind": "certified/1"})
    assert "wrong-kind" == rejected(car_header(digest(other)) + car_section(other)).reason
    behind = made().sections
    unrooted = car_header(digest(other)) + b"".join(behind[1:])
    assert "wrong-order" == rejected(unrooted).reason


FORGERIES: dict[str, tuple[Callable[[Capsule], Capsule], str]] = {
    "another agent": (lambda c: replace(c, agent=bytes(32)), "wrong-agent"),
    "no middle chapter": (
        lambda c: replace(c, chapters=(c.chapters[0], c.chapters[2])),
        "wrong-parent",
    ),
    "no genesis": (lambda c: replace(c, chapters=c.chapters[1:]), "wrong-agent"),
    "chapters reversed": (lambda c: replace(c, chapters=c.chapters[::-1]), "wrong-agent"),
    "a chapter twice": (
        lambda c: replace(c, chapters=(*c.chapters[:2], *c.chapters[1:])),
        "wrong-parent",
    ),
    "an open term before another": (
        lambda c: replace(
            c, chapters=(replace(c.chapters[0], closed=None), c.chapters[1], c.chapters[2])
        ),
        "bad-lineage",
    ),
    "a return without the refusal": (
        lambda c: replace(
            c, chapters=(c.chapters[0], replace(c.chapters[1], refusal=None), c.chapters[2])
        ),
        "no-refusal",
    ),
    "a refusal where none was": (
        lambda c: replace(
            c,
            chapters=(
                replace(c.chapters[0], refusal=c.chapters[1].refusal),
                c.chapters[1],
                c.chapters[2],
            ),
        ),
        "extra",
    ),
    "an older head": (lambda c: replace(c, head=c.chapters[0].opened), "wrong-term"),
    "a head of another certificate": (
        lambda c: replace(c, head=replace(c.head, certificate=c.chapters[2].opened.certificate)),
        "wrong-slot",
    ),
    "a manifest missing": (lambda c: replace(c, manifests=c.manifests[:1]), "unknown-zone"),
    "a manifest twice": (
        lambda c: replace(c, manifests=(c.manifests[0], *c.manifests)),
        "wrong-order",
    ),
    "manifests reversed": (lambda c: replace(c, manifests=c.manifests[::-1]), "wrong-order"),
    "a manifest nobody names": (
        lambda c: replace(
            c,
            manifests=tuple(
                sorted((*c.manifests, made().stranger), key=lambda m: m.manifest.zone_id)
            ),
        ),
        "extra",
    ),
    "a manifest without seals": (
        lambda c: replace(c, manifests=(replace(c.manifests[0], seals=()), c.manifests[1])),
        "no-quorum",
    ),
    "a manifest sealed by another": (
        lambda c: replace(
            c,
            manifests=(replace(c.manifests[0], seals=c.manifests[1].seals), c.manifests[1]),
        ),
        "wrong-key",
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_evidence_in_a_well_formed_file_is_rejected(forgery: str) -> None:
    forge, reason = FORGERIES[forgery]
    data = with_root(forge(made().capsule), made().block_sections)
    assert reason == rejected(data).reason


def test_a_manifest_of_a_later_epoch_speaks_for_no_zone() -> None:
    """Its zone is what it says, not its digest: anyone could say so (trap 13)."""
    capsule = made().capsule
    first = capsule.manifests[0].manifest
    forged = replace(first, zone=first.zone_id, epoch=1, previous=first.digest)
    signed = replace(capsule.manifests[0], manifest=forged)
    data = with_root(replace(capsule, manifests=(signed, capsule.manifests[1])), [])
    assert "bad-epoch" == rejected(data).reason


def test_an_agent_on_its_way_is_shown_by_its_departure_and_by_nothing_before() -> None:
    a, b, head = found("a", 1), found("b", 1, jurisdiction=("US",)), made().head
    terms = visa_terms(head.record, a.manifest, a.hosts[0].public, size=1, deadline_ms=1)
    certificate = a.certificate(visa_slot(terms), digest_of(terms), phase=Phase.VISA)
    visa = Visa(terms=terms, certificate=certificate)
    record = departed(head.record, head.certificate.slot, visa, a.manifest)
    gone = b.certified(propose(TransitionKind.DEPART, head, record, b.hosts[0]).transition)
    *before, last = made().chapters
    chapters = (*before, replace(last, closed=gone))
    capsule = make_capsule(chapters, gone, made().manifests, made().documents)
    assert gone == load(with_root(capsule, made().block_sections)).capsule.head
    older = with_root(replace(capsule, head=head), made().block_sections)
    assert "bad-lineage" == rejected(older).reason


def test_a_zone_that_lies_gives_no_agent_anothers_past() -> None:
    """Certified, with this chain's lineage, and in another's name."""
    head = made().head
    record = replace(head.record, agent=digest(b"another agent"))
    lie = found("b", 1, jurisdiction=("US",)).certified(replace(head.transition, record=record))
    for agent in (made().capsule.agent, record.agent):
        capsule = replace(made().capsule, agent=agent, head=lie)
        assert "wrong-agent" == rejected(with_root(capsule, made().block_sections)).reason


def test_a_capsule_is_not_made_of_evidence_that_does_not_hold() -> None:
    with pytest.raises(Rejected):
        make_capsule(made().chapters[:1], made().head, made().manifests, made().documents)
    with pytest.raises(Rejected, match="is missing"):
        make_capsule(made().chapters, made().head, made().manifests[:1], made().documents)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"genesis": ()}, "below-threshold"),
        ({"documents": ((),)}, "below-threshold"),
        ({"documents": ()}, "wrong-documents"),
    ],
)
def test_section_8_a_capsule_proves_whose_agent_it_is(changes: dict[str, Any], reason: str) -> None:
    capsule = made().capsule
    first, *others = capsule.chapters
    assert first.warrant is not None
    for warrant, expected in ((replace(first.warrant, **changes), reason), (None, "no-warrant")):
        chapters = (replace(first, warrant=warrant), *others)
        data = with_root(replace(capsule, chapters=chapters), made().block_sections)
        assert expected == rejected(data).reason
        with pytest.raises(Rejected):
            make_capsule(chapters, made().head, made().manifests, made().documents)


def test_the_closure_takes_each_block_once_where_it_is_first_named() -> None:
    leaf = encode_block("leaf")
    root = digest(leaf)
    closure = Closure([root, root])
    assert [root] == closure.upcoming(5)
    closure.take(leaf)
    assert [] == closure.upcoming(5)
    assert closure.next is None


def test_the_closure_goes_depth_first_and_says_what_comes_soon() -> None:
    leaf, other, last = encode_block("leaf"), encode_block("other"), encode_block("last")
    parent = encode_block([link_to(digest(leaf)), link_to(digest(other))])
    closure = Closure([digest(parent), digest(last), digest(leaf)])
    assert [digest(parent), digest(last), digest(leaf)] == closure.upcoming(5)
    assert [digest(parent), digest(last)] == closure.upcoming(2)
    for block in (parent, leaf, other, last):
        assert digest(block) == closure.next == closure.upcoming(1)[0]
        closure.take(block)
    assert closure.next is None


def test_a_file_that_ends_before_its_root_block_is_cut_short() -> None:
    assert "truncated" == rejected(car_header(digest(b"root"))).reason


def test_the_evidence_may_be_eight_kilobytes_for_each_chapter() -> None:
    assert 8_192 * CHAPTERS_MAX == capsules.ROOT_BYTES_MAX


def test_the_evidence_has_a_limit_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(encode(made().capsule))
    data = made().data
    monkeypatch.setattr(capsules, "ROOT_BYTES_MAX", size)
    assert load(data).capsule == made().capsule
    assert data.startswith(capsule_head(made().capsule))
    monkeypatch.setattr(capsules, "ROOT_BYTES_MAX", size - 1)
    assert "too-large" == rejected(data).reason
    with pytest.raises(Misused, match=f"has {size} bytes, more than {size - 1}"):
        capsule_head(made().capsule)


def test_what_the_zone_holds_where_the_agent_is_is_not_left_behind() -> None:
    """An honest zone says so by naming no holder; one that names itself hides nothing by it."""
    head = made().head
    held = replace(head.record.memory.compartments["clients"], held_by=head.record.custody.zone)
    compartments = head.record.memory.compartments | {"clients": held}
    record = replace(head.record, memory=replace(head.record.memory, compartments=compartments))
    lying = found("b", 1, jurisdiction=("US",)).certified(replace(head.transition, record=record))
    taken = dataclasses.replace(made(), capsule=replace(made().capsule, head=lying))
    verified = load(taken.data)
    assert () == verified.left_behind
    assert held.root in block_names(verified.capsule)
    assert load(made().data).blocks + 1 == verified.blocks
