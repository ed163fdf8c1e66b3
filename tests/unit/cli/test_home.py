"""The home folder: names, keys, the address books."""

from pathlib import Path

import pytest

from sojourn.cli import address_book
from sojourn.cli.home import Home
from sojourn.core.base.digests import cid_text, digest
from sojourn.core.base.errors import Misused, Rejected
from sojourn.runtime.processes.keyfile import Purpose, make_key, write_public_key
from tests.village import Village


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_nothing_is_created_by_looking(home: Home) -> None:
    assert ([], [], {}) == (home.known_zones(), home.key_names(), home.manifests())
    assert not home.path.exists()


def test_a_met_zone_keeps_its_name_and_another_of_that_name_gets_a_tail(home: Home) -> None:
    first, second = Village().found("Site One", 1).signed, Village().found("Site One", 4).signed
    assert "site-one" == home.keep_manifest(first)
    assert "site-one" == home.keep_manifest(first)
    other = home.keep_manifest(second)
    assert other.startswith("site-one-")
    assert {"site-one": first, other: second} == home.manifests()
    assert other == home.name_of(second.manifest)


def test_a_spoilt_manifest_is_rejected_by_its_file(home: Home) -> None:
    home.keep_manifest(Village().found("a", 1).signed)
    path = home.known / "a.manifest"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Rejected, match=r"known/a\.manifest"):
        home.manifests()


def test_the_only_key_for_a_purpose_is_meant(home: Home) -> None:
    with pytest.raises(Misused, match="there is none here"):
        home.key(None, Purpose.PERSON)
    alice = make_key(home.keys / "alice.key", Purpose.PERSON)
    make_key(home.keys / "acme.key", Purpose.OFFICER)
    assert alice.public == home.key(None, Purpose.PERSON).public
    make_key(home.keys / "bob.key", Purpose.PERSON)
    with pytest.raises(Misused, match="alice, bob"):
        home.key(None, Purpose.PERSON)
    assert alice.public == home.key(str(home.keys / "alice.key"), Purpose.PERSON).public
    with pytest.raises(Misused, match="a key for officer is needed"):
        home.key("alice", Purpose.OFFICER)


def test_a_public_key_is_named_or_spelt(home: Home) -> None:
    made = make_key(home.keys / "acme.key", Purpose.OFFICER)
    write_public_key(home.keys / "acme.pub", made.public, Purpose.OFFICER)
    assert made.public == home.public_key("acme") == home.public_key(made.public.hex())
    with pytest.raises(Misused, match="There are: acme"):
        home.public_key("nobody")
    with pytest.raises(Misused, match="is no Ed25519 public key"):
        home.public_key("0" * 64)


def test_the_address_book_keeps_and_checks_entries(home: Home) -> None:
    agent, zone = digest(b"agent"), digest(b"zone")
    entry = address_book.keep(home, "desk", agent, zone)
    assert entry == address_book.entry_of(home, "desk")
    assert (agent, zone, ["desk"]) == (entry.agent_id, entry.zone_id, address_book.entries(home))
    with pytest.raises(Misused, match="already"):
        address_book.check_free(home, "desk")
    address_book.check_free(home, "other")
    with pytest.raises(Misused, match="There are: desk"):
        address_book.entry_of(home, "other")
    path = home.agents / "desk.toml"
    path.write_text(path.read_text().replace(cid_text(agent), "b123"))
    with pytest.raises(Misused, match="not an identifier"):
        address_book.entry_of(home, "desk")
