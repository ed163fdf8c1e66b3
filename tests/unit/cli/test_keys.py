"""`sojourn keys`."""

import stat

from tests.unit.cli.command import Command


def test_a_key_is_made_listed_and_shown(sojourn: Command) -> None:
    made = sojourn.good("keys", "new", "acme", "--json").json
    sojourn.good("keys", "new", "alice", "--purpose", "person")
    listed = sojourn.good("keys", "list", "--json").json
    assert [("acme", "officer", True), ("alice", "person", True)] == [
        (key["name"], key["purpose"], key["private_part"]) for key in listed
    ]
    assert made == sojourn.good("keys", "show", "acme", "--json").json
    private = sojourn.home / "keys" / "acme.key"
    assert 0o600 == stat.S_IMODE(private.stat().st_mode)
    assert made["public"] in sojourn.good("keys", "list").out


def test_anothers_public_part_is_listed_as_such(sojourn: Command) -> None:
    sojourn.good("keys", "new", "acme")
    (sojourn.home / "keys" / "acme.key").unlink()
    [key] = sojourn.good("keys", "list", "--json").json
    assert key["private_part"] is False


def test_without_keys_it_says_how_to_make_one(sojourn: Command) -> None:
    assert "sojourn keys new NAME" in sojourn.good("keys", "list").out


def test_wrong_names_are_one_line_each(sojourn: Command) -> None:
    sojourn.good("keys", "new", "acme")
    assert "exists already" in sojourn("keys", "new", "acme").line()
    for name in ("", "../up", "Upper", "a" * 64, "-a"):
        done = sojourn("keys", "new", "--", name)
        assert 2 == done.code
        assert "cannot be the name of a key" in done.line()
    assert "there is no key 'nobody'" in sojourn("keys", "show", "nobody").line()


def test_a_spoilt_key_is_one_line(sojourn: Command) -> None:
    sojourn.good("keys", "new", "acme")
    path = sojourn.home / "keys" / "acme.key"
    path.write_text("garbage")
    assert "is damaged" in sojourn("keys", "list").line()
