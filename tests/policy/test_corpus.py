"""`sojourn policy corpus`: our own corpus is what it says, and a wrong one is told in a line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.policy.make_corpus import FOLDER, files
from tests.unit.cli.command import Command

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def sojourn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path / "home", capsys)


def test_the_corpus_in_the_repository_is_what_is_made() -> None:
    kept = {
        path.relative_to(FOLDER).as_posix(): path.read_text()
        for path in FOLDER.rglob("*")
        if path.is_file() and path.name != "README.md"
    }
    assert files() == kept, "run python -m tests.policy.make_corpus"


def test_the_corpus_reaches_every_answer() -> None:
    tests = [json.loads(text) for name, text in files().items() if name.startswith("tests/")]
    requests = [each for test in tests for each in test["requests"]]
    answers = {(each["decision"], bool(each["reason"]), bool(each["errors"])) for each in requests}
    assert {
        ("allow", True, False),
        ("allow", True, True),
        ("deny", True, False),
        ("deny", False, False),
        ("deny", False, True),
    } <= answers
    assert {True, False} == {test["shouldValidate"] for test in tests}


def test_cedar_says_of_the_corpus_what_the_oracle_says(sojourn: Command) -> None:
    told = sojourn.good("policy", "corpus", FOLDER, "--json").json
    assert (0, []) == (told["mismatches"], told["first"])
    assert told["cases"] > 350
    assert f"{told['cases']} cases" in (FOLDER.parents[1] / PAGE).read_text()


PAGE = "docs/how-to/write-a-policy.md"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Return a corpus of one test with one request."""
    folder = tmp_path / "corpus"
    (folder / "tests").mkdir(parents=True)
    (folder / "p.cedar").write_text("permit (principal, action, resource);\n")
    (folder / "e.json").write_text("[]")
    schema = "entity A; action a appliesTo { principal: [A], resource: [A] };"
    (folder / "s.cedarschema").write_text(schema)
    request = {
        "principal": {"type": "A", "id": "x"},
        "action": {"type": "Action", "id": "a"},
        "resource": {"type": "A", "id": "y"},
        "context": {},
        "decision": "allow",
        "reason": ["policy0"],
        "errors": [],
    }
    test = {
        "policies": "p.cedar",
        "entities": "e.json",
        "schema": "s.cedarschema",
        "shouldValidate": True,
        "requests": [request],
    }
    (folder / "tests" / "1.json").write_text(json.dumps(test))
    return folder


def change(corpus: Path, how: Change) -> Path:
    path = corpus / "tests" / "1.json"
    test = json.loads(path.read_text())
    how(test)
    path.write_text(json.dumps(test))
    return corpus


def test_a_corpus_that_holds_ends_with_0(sojourn: Command, corpus: Path) -> None:
    assert "2 cases in 1 file: none differs\n" == sojourn.good("policy", "corpus", corpus).out


def test_policies_and_schema_may_be_json(sojourn: Command, corpus: Path) -> None:
    scope = {part: {"op": "All"} for part in ("principal", "action", "resource")}
    policy = {"effect": "permit", **scope, "conditions": []}
    text = json.dumps({"templates": {}, "staticPolicies": {"policy0": policy}, "templateLinks": []})
    (corpus / "p.cedar").write_text(text)
    action = {"appliesTo": {"principalTypes": ["A"], "resourceTypes": ["A"]}}
    schema = {"": {"entityTypes": {"A": {}}, "actions": {"a": action}}}
    (corpus / "s.cedarschema").write_text(json.dumps(schema))
    sojourn.good("policy", "corpus", corpus)


def test_names_may_count_from_the_folder_above(sojourn: Command, corpus: Path) -> None:
    change(corpus, lambda test: test.update(policies="corpus/p.cedar"))
    sojourn.good("policy", "corpus", corpus)


@pytest.mark.parametrize(
    "how",
    [
        lambda test: test["requests"][0].update(decision="deny"),
        lambda test: test["requests"][0].update(reason=[]),
        lambda test: test["requests"][0].update(errors=["policy0"]),
        lambda test: test.update(shouldValidate=False),
        lambda test: test["requests"][0]["action"].update(id="b"),
    ],
    ids=["decision", "reason", "errors", "validation", "request"],
)
def test_a_mismatch_is_shown_whole_and_ends_with_1(
    sojourn: Command, corpus: Path, how: Change
) -> None:
    done = sojourn("policy", "corpus", change(corpus, how))
    assert 1 == done.code
    for part in ("1 differ", "1.json", "expected  ", "found     ", "permit (principal"):
        assert part in done.out
    told = sojourn("policy", "corpus", corpus, "--json").json
    assert (1, 1) == (told["mismatches"], len(told["first"]))


def test_a_request_that_does_not_fit_is_asked_where_its_file_says_so(
    sojourn: Command, corpus: Path
) -> None:
    odd: Change = lambda test: test["requests"][0]["principal"].update(type="B")  # noqa: E731
    assert 1 == sojourn("policy", "corpus", change(corpus, odd)).code
    change(corpus, lambda test: test["requests"][0].update(validateRequest=False))
    sojourn.good("policy", "corpus", corpus)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (lambda test: test.pop("policies"), "missing required field `policies`"),
        (lambda test: test["requests"][0].update(decision="maybe"), "Invalid enum value"),
        (lambda test: test.update(policies="none.cedar"), "there is no file none.cedar"),
        (lambda test: test.update(policies="../../secret"), "there is no file ../../secret"),
        (lambda test: test.update(policies="p\0.cedar"), "there is no file p\\x00.cedar"),
        (lambda test: test.update(policies="e.json"), "Cedar does not read"),
        (lambda test: test.update(entities="p.cedar"), "Cedar does not read"),
    ],
    ids=["field", "value", "no-file", "outside", "zero", "no-policy", "no-entities"],
)
def test_a_bad_file_is_one_line_with_its_name(
    sojourn: Command, corpus: Path, how: Change, said: str
) -> None:
    (corpus.parents[0] / "secret").write_text("permit (principal, action, resource);")
    done = sojourn("policy", "corpus", change(corpus, how))
    assert (2, True) == (done.code, "1.json is no test" in done.line())
    assert said in done.line()
    assert "Correct the file" in done.line()


def test_files_that_are_no_json_no_text_or_no_tests(sojourn: Command, corpus: Path) -> None:
    assert "is no folder" in sojourn("policy", "corpus", corpus / "none").line()
    (corpus / "p.cedar").write_text("permit (principal, action, resource) when { " + "!(" * 700)
    assert "nests" in sojourn("policy", "corpus", corpus).line()
    (corpus / "p.cedar").write_bytes(b"\xff")
    assert "not text in UTF-8" in sojourn("policy", "corpus", corpus).line()
    (corpus / "a.json").write_text('{"requests": ')
    assert "a.json is no test" in sojourn("policy", "corpus", corpus).line()
    (corpus / "a.json").write_text("[" * 200_000)
    assert "nests too deep" in sojourn("policy", "corpus", corpus).line()
    for path in (corpus / "a.json", corpus / "tests" / "1.json"):
        path.unlink()
    assert "holds no tests" in sojourn("policy", "corpus", corpus).line()
