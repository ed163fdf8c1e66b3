"""`sojourn zone` and `sojourn anchor`, as far as nothing has to run: founding, signing, showing."""

from pathlib import Path

import pytest

from sojourn.core.zone.manifest import is_host_of, load_manifest
from sojourn.host.folder import HostFolder, read_membership
from tests.unit.cli.command import Command

PLACE = ("--provider", "acme", "--region", "r1", "--country", "IE", "--jurisdiction", "EU")


@pytest.fixture
def parts(sojourn: Command, tmp_path: Path) -> list[str]:
    """Make four anchors and a host as if on five machines; return what `zone init` takes of them."""
    given: list[str] = []
    for index in range(4):
        folder = tmp_path / f"a{index}"
        place = f"10.0.0.{index}:7400"
        sojourn.good("anchor", "init", folder, "--operator", f"o{index}", "--listen", place)
        given += ["--anchor-public", str(folder / "anchor.public")]
    sojourn.good("host", "init", tmp_path / "h0", "--slots", 8)
    return [*given, "--host-public", str(tmp_path / "h0" / "host.public")]


def sign_all(sojourn: Command, tmp_path: Path) -> list[str]:
    draft = sojourn.home / "zones" / "eu" / "draft"
    seals: list[str] = []
    for index in range(4):
        seal = tmp_path / f"{index}.seal"
        sojourn.good("anchor", "sign", tmp_path / f"a{index}", draft, "--output", seal)
        seals += ["--seal", str(seal)]
    return seals


def test_a_zone_is_founded_on_one_machine(sojourn: Command) -> None:
    founded = sojourn.good("zone", "init", "home", "--local", 4, "--hosts", 2, "--json").json
    assert (4, 1, 3) == (len(founded["anchors"]), founded["f"], founded["quorum"])
    assert founded == sojourn.good("zone", "show", "home", "--json").json
    folder = sojourn.home / "zones" / "home"
    assert ["0", "1", "2", "3"] == sorted(p.name for p in (folder / "anchors").iterdir())
    for path in (folder / "hosts").iterdir():
        signed, membership = HostFolder(path).enrolment()
        assert is_host_of(signed.manifest, HostFolder(path).key().public, membership)
    assert [folder] == list(folder.parent.iterdir())  # nothing half-made is left


def test_a_zone_is_founded_from_parts_that_each_anchor_signs(
    sojourn: Command, parts: list[str], tmp_path: Path
) -> None:
    draft = sojourn.good("zone", "init", "eu", *PLACE, *parts, "--price", "0.096", "--json").json
    assert draft["signed"] is False
    assert 96_000 == draft["attributes"]["price_micros"]
    assert "is not signed by all" in sojourn("zone", "show", "eu").line()
    seals = sign_all(sojourn, tmp_path)
    assert "anchors 2, 3" in sojourn("zone", "assemble", "eu", *seals[:4]).line()
    founded = sojourn.good("zone", "assemble", "eu", *seals, "--json").json
    assert (True, draft["zone"]) == (founded["signed"], founded["zone"])
    folder = sojourn.home / "zones" / "eu"
    signed = load_manifest((folder / "manifest").read_bytes())
    [proof] = (folder / "memberships").iterdir()
    HostFolder(tmp_path / "h0").join(signed, read_membership(proof))
    assert "is signed already" in sojourn("zone", "assemble", "eu", *seals).line()


def test_an_anchor_signs_only_what_names_it_exactly(
    sojourn: Command, parts: list[str], tmp_path: Path
) -> None:
    sojourn.good("zone", "init", "eu", *PLACE, *parts[:2])
    draft = sojourn.home / "zones" / "eu" / "draft"
    stranger = sojourn("anchor", "sign", tmp_path / "a1", draft)
    assert "does not name the anchor" in stranger.line()
    settings = tmp_path / "a0" / "anchor.toml"
    settings.write_text(settings.read_text().replace("10.0.0.0:7400", "10.9.9.9:7400"))
    moved = sojourn("anchor", "sign", tmp_path / "a0", draft)
    assert "says o0 at 10.0.0.0:7400, anchor.toml" in moved.line()
    assert not (tmp_path / "a0" / "manifest.seal").exists()


def test_a_foreign_seal_is_no_seal_of_this_zone(
    sojourn: Command, parts: list[str], tmp_path: Path
) -> None:
    sojourn.good("zone", "init", "eu", *PLACE, *parts)
    sojourn.good("zone", "init", "other", *PLACE, *parts[:2])
    other = sojourn.home / "zones" / "other" / "draft"
    sojourn.good("anchor", "sign", tmp_path / "a0", other, "--output", tmp_path / "x.seal")
    done = sojourn("zone", "assemble", "eu", "--seal", tmp_path / "x.seal")
    assert (4, True) == (done.code, "does not cover this zone-manifest" in done.line())
    (tmp_path / "x.seal").write_bytes(b"\xa0")
    assert 4 == sojourn("zone", "assemble", "eu", "--seal", tmp_path / "x.seal").code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("Bad", "--local", "1"), "cannot be the name of a zone"),
        (("eu",), "either --local anchors or --anchor-public"),
        (("eu", "--local", "1", "--f", "1"), "n >= 3f+1"),
        (("eu", "--local", "4", "--f", "many"), "--f is 'many'"),
        (("eu", "--local", "0"), "0 is not in the range"),
        (("eu", "--local", "1", "--policy", "none.cedar"), "No such file"),
        (("eu", "--local", "1", "--jurisdiction", ""), "that makes no zone"),
        (("eu", "--anchor-public", "none"), "says where it is"),
        (("eu", *PLACE, "--anchor-public", "none"), "No such file"),
    ],
)
def test_what_makes_no_zone_is_one_line_and_leaves_nothing(
    sojourn: Command, arguments: tuple[str, ...], said: str
) -> None:
    done = sojourn("zone", "init", *arguments)
    assert (2, True) == (done.code, said in done.line()), done
    zones = sojourn.home / "zones"
    assert not zones.exists() or [] == list(zones.iterdir())


def test_a_wrong_policy_founds_nothing(sojourn: Command, tmp_path: Path) -> None:
    (tmp_path / "zone.cedar").write_text("permit (principal, acton, resource);")
    done = sojourn("zone", "init", "eu", "--local", 1, "--policy", tmp_path / "zone.cedar")
    assert (2, True) == (done.code, "zone.cedar:1:20" in done.line())


def test_a_name_is_given_once(sojourn: Command) -> None:
    sojourn.good("zone", "init", "home", "--local", 1)
    before = (sojourn.home / "zones" / "home" / "manifest").read_bytes()
    assert "is known here already" in sojourn("zone", "init", "home", "--local", 1).line()
    assert before == (sojourn.home / "zones" / "home" / "manifest").read_bytes()


def test_zones_are_listed_exported_and_shown_from_files(sojourn: Command, tmp_path: Path) -> None:
    assert "No zones are known here" in sojourn.good("zone", "list").out
    sojourn.good("zone", "init", "home", "--local", 1)
    [listed] = sojourn.good("zone", "list", "--json").json
    sojourn.good("zone", "export", "home", "--output", tmp_path / "home.manifest")
    shown = sojourn.good("zone", "show", tmp_path / "home.manifest", "--json").json
    assert listed["zone"] == shown["zone"]
    assert "permit (principal, action, resource);" in sojourn.good("zone", "show", "home").out


def test_a_false_manifest_is_rejected_by_name(sojourn: Command, tmp_path: Path) -> None:
    sojourn.good("zone", "init", "home", "--local", 1)
    file = tmp_path / "home.manifest"
    sojourn.good("zone", "export", "home", "--output", file)
    data = file.read_bytes()
    for spoilt, reason in ((data[:-1], "truncated"), (data.replace(b"home", b"fake"), "bad-")):
        file.write_bytes(spoilt)
        done = sojourn("zone", "show", file)
        assert (4, True) == (done.code, done.line().startswith(reason)), done


def test_unknown_zones_are_one_line_each(sojourn: Command) -> None:
    for command in (("up",), ("down",), ("status",), ("show",), ("export",)):
        done = sojourn("zone", *command, "nowhere")
        assert 2 == done.code
        assert "nowhere" in done.line()
    assert "Begin with `sojourn zone init" in sojourn("zone", "status", "nowhere").line()


def test_an_anchor_is_made_once_and_in_a_place(sojourn: Command, tmp_path: Path) -> None:
    init = ("anchor", "init", tmp_path / "a", "--operator", "acme", "--listen")
    for wrong in ("here", "here:0", "here:70000", ":80", "a b:80"):
        done = sojourn(*init, wrong)
        assert (2, True) == (done.code, "is no place" in done.line())
    sojourn.good(*init, "[::1]:7400", "--reached", "a.example:7400")
    assert "there is an anchor" in sojourn(*init, "here:80").line()
    assert "belongs to no zone yet" in sojourn("anchor", "run", tmp_path / "a").line()
    assert "there is no anchor in" in sojourn("anchor", "run", tmp_path / "b").line()


def test_a_host_runs_for_no_zone_that_has_not_enrolled_it(sojourn: Command, tmp_path: Path) -> None:
    sojourn.good("host", "init", tmp_path / "h")
    assert "belongs to no zone yet" in sojourn("host", "run", tmp_path / "h").line()
    assert "there is no host in" in sojourn("host", "run", tmp_path / "none").line()
    sojourn.good("zone", "init", "home", "--local", 1)
    zone = sojourn.home / "zones" / "home"
    joined = ("--zone-manifest", zone / "manifest")
    assert "Give both" in sojourn("host", "run", tmp_path / "h", *joined).line()
    foreign = ("--membership", zone / "hosts" / "0" / "membership")
    assert "has not enrolled" in sojourn("host", "run", tmp_path / "h", *joined, *foreign).line()
