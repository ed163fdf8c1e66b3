"""`sojourn policy diff`: texts and signed documents, with exit codes for scripts."""

from pathlib import Path

import pytest

from tests.unit.cli.command import Command

OLD = """\
@id("eu")
permit (principal, action == Action::"travel", resource)
when { resource.jurisdiction.contains("EU") };
"""
WIDER = OLD.replace('contains("EU")', 'containsAny(["CH", "EU"])')


@pytest.fixture
def sojourn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path / "home", capsys)


def files(folder: Path, *texts: str) -> list[Path]:
    made = [folder / f"{number}.cedar" for number in range(len(texts))]
    for path, text in zip(made, texts, strict=True):
        path.write_text(text)
    return made


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (OLD, OLD + "// the same\n", 0),
        (WIDER, OLD, 10),
        (OLD, WIDER, 11),
        (OLD, WIDER.replace('"EU"', '"US"'), 11),
        (
            OLD.replace("};", "&& context.cost_micros * 2 < 9 };"),
            OLD.replace("};", "&& 9 > context.cost_micros * 2 };"),
            12,
        ),
    ],
)
def test_the_exit_code_says_which_way_it_goes(
    sojourn: Command, tmp_path: Path, old: str, new: str, code: int
) -> None:
    assert code == sojourn("policy", "diff", *files(tmp_path, old, new)).code


def test_each_change_is_shown_with_an_example(sojourn: Command, tmp_path: Path) -> None:
    asked = ("policy", "diff", *files(tmp_path, OLD, WIDER))
    assert sojourn(*asked).out == (
        "It widens 1 action:\n"
        "  travel, for example where\n"
        '    resource.jurisdiction = ["CH"]\n'
        '    old: does not permit it; not met: "eu" (0.cedar, line 1)\n'
        '    new: permits it, by "eu" (1.cedar, line 1)\n'
    )
    told = sojourn(*asked, "--json").json
    (change,) = told["widened"]
    assert ([], True, []) == (told["narrowed"], told["exact"], told["bounds"])
    assert ["CH"] == change["example"]["zone"]["jurisdiction"]
    assert (False, True) == (change["old"]["permitted"], change["new"]["permitted"])


def test_signed_documents_bring_their_own_actions(sojourn: Command, tmp_path: Path) -> None:
    orders = 'permit (principal, action == Action::"order.place", resource);\n'
    old, new = files(tmp_path, OLD, OLD + orders)
    sojourn.good("keys", "new", "acme")
    sojourn.good("policy", "sign", old, "--issuer", "acme")
    sojourn.good("policy", "sign", new, "--issuer", "acme", "--actions", "order.place")
    signed = [path.with_suffix(".signed") for path in (old, new)]
    told = sojourn("policy", "diff", *signed, "--json").json
    assert ["order.place"] == [change["action"] for change in told["widened"]]
    assert 11 == sojourn("policy", "diff", old, signed[1]).code


def test_a_zones_policy_is_compared_as_it_judges_its_guests(
    sojourn: Command, tmp_path: Path
) -> None:
    new = OLD + 'permit (principal, action in Action::"application", resource);\n'
    asked = ("policy", "diff", *files(tmp_path, OLD, new))
    assert 0 == sojourn(*asked).code
    assert "other.action" in sojourn(*asked, "--as-zone").out


def test_a_bound_is_said(sojourn: Command, tmp_path: Path) -> None:
    odd = OLD.replace("};", "&& context.cost_micros * 2 < 9 };")
    said = sojourn("policy", "diff", *files(tmp_path, odd, odd.replace("<", ">"))).out
    assert "Not everything could be tried; there may be more:" in said
    assert "travel: arithmetic on context.cost_micros: " in said


def test_files_that_are_no_policies_are_one_line_each(sojourn: Command, tmp_path: Path) -> None:
    old, bad = files(tmp_path, OLD, "permit (principal, acton, resource);")
    asked = sojourn("policy", "diff", old, bad)
    assert (2, True) == (asked.code, asked.line().startswith("1.cedar:1:20:"))
    bad.write_bytes(b"\xa1\x00")
    assert 4 == sojourn("policy", "diff", old, bad).code
    assert "No such file" in sojourn("policy", "diff", old, tmp_path / "none").line()
    assert "no zone" in sojourn("policy", "diff", old, old, "--zone", "nowhere").line()


def test_a_zone_that_is_known_can_be_given(sojourn: Command, tmp_path: Path) -> None:
    sojourn.good("zone", "init", "home", "--local", 1)
    asked = ("policy", "diff", *files(tmp_path, OLD, WIDER))
    assert (11, 0) == (sojourn(*asked).code, sojourn(*asked, "--zone", "home").code)
    named = OLD.replace('jurisdiction.contains("EU")', 'name == "home"')
    asked = ("policy", "diff", *files(tmp_path, OLD, named))
    (change,) = sojourn(*asked, "--zone", "home", "--json").json["widened"]
    assert "home" == change["example"]["zone"]["name"]
