"""Manifests: who may speak for a zone, and with which keys."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.merkle import Inclusion
from sojourn.core.base.seals import Kind, Role
from sojourn.core.zone.manifest import (
    AnchorEntry,
    SignedManifest,
    ZoneManifest,
    host_inclusions,
    is_host_of,
    load_manifest,
)
from tests.samples import NOW_MS, found, key, seal, signed

HOME = found("home")
SMALL_ORDER = bytes([1]) + bytes(31)
"""The identity point: every message has a signature under it."""


def with_anchor(index: int, **changes: Any) -> ZoneManifest:
    """Return the manifest with one anchor's entry changed."""
    anchors = list(HOME.manifest.anchors)
    anchors[index] = replace(anchors[index], **changes)
    return replace(HOME.manifest, anchors=tuple(anchors))


def reason_of(manifest: SignedManifest) -> str:
    with pytest.raises(Rejected) as caught:
        load_manifest(encode(manifest))
    return caught.value.reason


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 10, 31])
def test_a_sealed_manifest_comes_out_as_it_went_in(n: int) -> None:
    zone = found("home", n)
    assert zone.signed == load_manifest(zone.signed.to_bytes())


def test_section_0_a_zone_is_named_by_the_digest_of_its_first_manifest() -> None:
    assert digest(encode(HOME.manifest)) == HOME.manifest.zone_id
    assert found("elsewhere").zone != HOME.zone


@pytest.mark.parametrize("field", [f for f in ZoneManifest.__struct_fields__ if f != "zone"])
def test_every_field_is_part_of_the_name(field: str) -> None:
    others: dict[str, Any] = {
        "realm": "production",
        "name": "hone",
        "epoch": 1,
        "anchors": HOME.manifest.anchors[:3],
        "f": 0,
        "hosts_root": digest(b"other hosts"),
        "attributes": replace(HOME.manifest.attributes, country="France"),
        "policy": "forbid (principal, action, resource);",
        "not_after_ms": NOW_MS,
        "previous": digest(b"before"),
        "policy_actions": ("order.place",),
        "lease_ms": 1,
    }
    assert replace(HOME.manifest, **{field: others[field]}).zone_id != HOME.zone


def test_trap_13_a_manifest_of_a_later_epoch_cannot_speak_for_a_zone_it_names_itself() -> None:
    """Without the certificate of the epoch before, anybody could name any zone and sign with own keys."""
    thief = found("thief")
    stolen = replace(thief.manifest, zone=HOME.zone, epoch=1, previous=HOME.manifest.digest)
    assert "bad-epoch" == reason_of(signed(stolen))


@pytest.mark.parametrize(
    ("epoch", "zone", "previous"),
    [
        (1, ZERO, None),
        (1, ZERO, HOME.zone),
        (1, HOME.zone, None),
        (0, HOME.zone, None),
        (0, ZERO, HOME.zone),
        (0, HOME.zone, HOME.zone),
    ],
    ids=["no zone", "no zone, a past", "no past", "a zone", "a past", "a zone and a past"],
)
def test_section_9_only_epoch_0_founds_a_zone(
    epoch: int, zone: bytes, previous: bytes | None
) -> None:
    made = replace(HOME.manifest, epoch=epoch, zone=zone, previous=previous)
    assert "bad-epoch" == reason_of(signed(made))


def test_section_0_a_committee_needs_n_of_at_least_3f_plus_1() -> None:
    assert "bad-committee" == reason_of(signed(replace(HOME.manifest, f=2)))


def test_section_1_keys_of_small_order_are_refused() -> None:
    for changes in ({"vote_key": SMALL_ORDER}, {"identity": SMALL_ORDER}):
        manifest = with_anchor(2, **changes)
        seals = [*signed(manifest).seals]
        seals[2] = replace(seals[2], signer=manifest.anchors[2].identity)
        assert "bad-key" == reason_of(SignedManifest(manifest=manifest, seals=tuple(seals)))


@pytest.mark.parametrize("other", ["home/vote/0", "home/anchor/0", "home/anchor/1"])
def test_trap_10_no_key_counts_twice(other: str) -> None:
    manifest = with_anchor(1, vote_key=key(other).public)
    expected = "bad-committee" if other == "home/vote/0" else "bad-key"
    assert expected == reason_of(signed(manifest))


def test_each_anchor_must_have_sealed() -> None:
    three = replace(HOME.signed, seals=HOME.signed.seals[:3])
    assert "no-quorum" == reason_of(three)
    first, second, *rest = HOME.signed.seals
    assert "wrong-key" == reason_of(replace(HOME.signed, seals=(second, first, *rest)))
    assert "wrong-key" == reason_of(replace(HOME.signed, seals=(first, first, *rest)))


@pytest.mark.parametrize(
    ("kind", "role"),
    [(Kind.ENVELOPE, Role.ANCHOR), (Kind.MANIFEST, Role.HOST), (Kind.MANIFEST, Role.OPERATOR)],
)
def test_trap_11_a_seal_as_something_else_is_none(kind: Kind, role: Role) -> None:
    wrong = seal(HOME.identity(3), kind, role, HOME.manifest.digest)
    assert "bad-signature" == reason_of(replace(HOME.signed, seals=(*HOME.signed.seals[:3], wrong)))


def test_a_seal_of_another_manifest_is_none() -> None:
    other = signed(replace(HOME.manifest, not_after_ms=1))
    assert "bad-signature" == reason_of(replace(HOME.signed, seals=other.seals))


# Hosts


@given(st.integers(1, 40), st.data())
def test_every_enrolled_host_proves_its_place_and_no_other_does(n: int, data: Any) -> None:
    hosts = tuple(key(f"host {i}").public for i in range(n))
    root, proofs = host_inclusions(hosts)
    manifest = replace(HOME.manifest, hosts_root=root)
    host = data.draw(st.sampled_from(hosts))
    assert is_host_of(manifest, host, proofs[host])
    assert not is_host_of(manifest, key("stranger").public, proofs[host])
    assert all(not is_host_of(manifest, host, proofs[h]) for h in hosts if h != host)


def test_an_inner_hash_is_no_host() -> None:
    hosts = tuple(key(f"host {i}").public for i in range(4))
    root, proofs = host_inclusions(hosts)
    manifest = replace(HOME.manifest, hosts_root=root)
    inner = proofs[sorted(hosts)[0]].path[1]
    shortened = Inclusion(index=1, size=2, path=proofs[sorted(hosts)[0]].path[:1])
    assert not is_host_of(manifest, inner, shortened)


def test_anchor_entries_hold_an_address_and_a_port() -> None:
    entry: AnchorEntry = HOME.manifest.anchors[0]
    assert ("home", 1000) == (entry.endpoint.address, entry.endpoint.port)
