"""`sojourn audit`: reports of capsules, with no network; what is wrong is said in one line."""

import json
from pathlib import Path

import pytest

from sojourn.audit.report import schema
from sojourn.cli import address_book
from sojourn.cli.auditing import is_agent
from sojourn.cli.home import Home
from tests.unit.audit.scene import life
from tests.unit.cli.command import Command
from tests.unit.pages.reading import Page


@pytest.fixture
def capsule(tmp_path: Path) -> Path:
    file = tmp_path / "desk.car"
    file.write_bytes(life()[0])
    return file


def test_a_capsule_is_reported_on_and_the_report_holds(
    sojourn: Command, capsule: Path, tmp_path: Path
) -> None:
    report, page = tmp_path / "desk.json", tmp_path / "desk.html"
    done = sojourn("audit", str(capsule), "--json", str(report), "--html", str(page))
    assert 0 == done.code, done
    for word in ("client-confidential", "order.place", "orders stand", "suspend", "not proved:"):
        assert word in done.out
    assert Page(page.read_text()).texts
    held = sojourn("audit", "verify", str(report), "--capsule", str(capsule))
    assert (0, True) == (held.code, held.out.startswith("verified: all "))
    one = sojourn("audit", "verify", str(report), "--capsule", str(capsule), "--line", "action-v3")
    assert 0 == one.code
    assert "anchors" in one.out


def test_the_page_is_made_again_of_a_report_that_holds(
    sojourn: Command, capsule: Path, tmp_path: Path
) -> None:
    report, page, again = (tmp_path / name for name in ("r.json", "r.html", "again.html"))
    sojourn("audit", str(capsule), "--json", str(report), "--html", str(page))
    verify = ("audit", "verify", str(report), "--capsule", str(capsule), "--html", str(again))
    assert 0 == sojourn(*verify).code
    assert page.read_bytes() == again.read_bytes()


def test_a_doctored_line_is_named_and_ends_with_its_code(
    sojourn: Command, capsule: Path, tmp_path: Path
) -> None:
    report, again = tmp_path / "r.json", tmp_path / "again.html"
    sojourn("audit", "report", str(capsule), "--json", str(report))
    report.write_text(report.read_text().replace('"act": "suspend"', '"act": "retire"'))
    verify = ("audit", "verify", str(report), "--capsule", str(capsule))
    done = sojourn(*verify, "--html", str(again))
    assert 4 == done.code
    assert "order-v23" in done.out
    assert "report.orders[0].act" in done.line()
    assert not again.exists()
    told = sojourn(*verify, "--json")
    assert (4, ["order-v23"]) == (told.code, [d["line"] for d in told.json["differences"]])
    assert 4 == sojourn(*verify, "--line", "order-v23").code
    assert 0 == sojourn(*verify, "--line", "stay-1").code, "that one holds"


def test_json_to_the_standard_output_is_all_there_is(sojourn: Command, capsule: Path) -> None:
    done = sojourn("audit", str(capsule), "--json", "-")
    assert "audit-report/1" == done.json["format"]


def test_the_schema_is_printed(sojourn: Command) -> None:
    assert json.loads(json.dumps(schema())) == sojourn("audit", "schema").json


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nobody",), 2, "no agent 'nobody' is in the address book, and there is no such file"),
        (("{capsule}", "--json", "{folder}/no/x.json"), 2, "there is no folder"),
        (("{capsule}", "--html", "{folder}"), 2, "is a directory"),
        (("{capsule}", "--capsule", "{folder}/y.car"), 2, "is a capsule already"),
        (("{spoilt}",), 4, "at capsule, byte"),
        (("{text}",), 4, "truncated"),
        (("{folder}",), 2, "cannot be read"),
        (("verify", "{folder}/none.json", "--capsule", "{capsule}"), 2, "cannot be read"),
        (("verify", "{text}", "--capsule", "{capsule}"), 4, "it is no JSON"),
        (("verify", "{text}", "--capsule", "{folder}/none.car"), 2, "cannot be read"),
        (("verify", "{report}", "--capsule", "{capsule}", "--line", "x"), 2, "has no line"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    sojourn: Command,
    capsule: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    spoilt, text, report = (tmp_path / name for name in ("spoilt.car", "text", "report.json"))
    data = bytearray(capsule.read_bytes())
    data[-5] ^= 1
    spoilt.write_bytes(data)
    text.write_text("nothing of the kind")
    sojourn("audit", str(capsule), "--json", str(report))
    places = {
        "capsule": capsule,
        "folder": tmp_path,
        "spoilt": spoilt,
        "text": text,
        "report": report,
    }
    done = sojourn("audit", *(each.format(**places) for each in arguments))
    assert code == done.code, done
    assert says in done.line()


def test_an_exit_drill_that_nobody_answers_for_says_so(sojourn: Command, capsule: Path) -> None:
    done = sojourn("audit", str(capsule), "--exit-drill")
    assert (5, True) == (done.code, "no anchor of b" in done.line())


def test_a_name_in_the_address_book_is_an_agent_and_a_path_is_a_file(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert not is_agent(home, "desk.car")
    address_book.keep(home, "desk.car", bytes(32), bytes(32))
    assert is_agent(home, "desk.car")
    assert not is_agent(home, "./desk.car")
