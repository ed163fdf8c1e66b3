"""Lineage: every version is provable from the newest record, and certificates are no part of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.agent.lineage import CustodyLink, Lineage, extend
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.merkle import inclusions, leaf_hash, root_from
from tests.unit.core.agent.records import BORN, slot_of

SLOT = slot_of(BORN)


def lineage_of(parents: list[bytes]) -> Lineage:
    lineage = Lineage()
    for parent in parents:
        lineage = extend(lineage, parent, SLOT)
    return lineage


@given(st.integers(0, 70))
def test_section_2_every_old_version_is_proved_by_a_path_to_the_root(count: int) -> None:
    parents = [digest(bytes([i])) for i in range(count)]
    lineage = lineage_of(parents)
    root, proofs = inclusions([leaf_hash(parent) for parent in parents])
    assert (count, root) == (lineage.count, lineage.root)
    assert all(
        root == root_from(leaf_hash(parent), proof)
        for parent, proof in zip(parents, proofs, strict=True)
    )


@given(st.integers(1, 40), st.data())
def test_section_2_another_past_has_another_root(count: int, data: st.DataObject) -> None:
    parents = [digest(bytes([i])) for i in range(count)]
    changed = data.draw(st.integers(0, count - 1))
    others = [digest(b"forged") if i == changed else p for i, p in enumerate(parents)]
    assert lineage_of(parents).root != lineage_of(others).root


def test_a_custody_link_stays_until_the_next_one() -> None:
    link = CustodyLink(record=digest(b"r"), version=0, term=0, zone=digest(b"z"))
    first = extend(Lineage(), digest(b"r"), SLOT, link=link)
    second = extend(first, digest(b"s"), SLOT)
    assert digest_of(link) == first.custody == second.custody


@pytest.mark.parametrize(("count", "peaks"), [(0, 1), (1, 0), (1, 2), (3, 1), (4, 2), (2**62, 0)])
def test_a_frontier_that_its_count_cannot_leave_is_rejected(count: int, peaks: int) -> None:
    lineage = Lineage(count=count, frontier=(digest(b"peak"),) * peaks)
    with pytest.raises(Rejected) as caught:
        extend(lineage, digest(b"parent"), SLOT)
    assert "bad-lineage" == caught.value.reason
