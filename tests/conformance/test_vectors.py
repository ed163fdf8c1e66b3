"""The golden files hold for this implementation, and are the ones that it would write."""

import json
from typing import Any

import pytest

from tests.conformance.golden import FORMAT, ROOT, kinds, outcome, read_bytes, rendered

FILES = sorted(path.relative_to(ROOT) for path in ROOT.glob("*/*.json"))


@pytest.mark.parametrize("path", FILES, ids=str)
def test_every_case_comes_out_as_the_file_says(path: Any) -> None:
    file = json.loads((ROOT / path).read_text(encoding="utf-8"))
    assert (path.parent.name, FORMAT) == (file["kind"], file["format"])
    kind, shared = kinds()[file["kind"]], file.get("given", {})
    wrong = []
    for case in file["cases"]:
        given = shared | case.get("given", {})
        found = outcome(kind, read_bytes(case["bytes"]), given, case["expect"])
        if found != case["expect"]:
            wrong.append((case["name"], case["expect"], found))
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=str)
def test_every_file_is_the_one_that_would_be_written_now(path: Any) -> None:
    """If not, and on purpose: `python -m tests.conformance.make_vectors`."""
    expected = rendered(kinds()[path.parent.name], path.stem)
    assert expected == (ROOT / path).read_text(encoding="utf-8")


def test_every_kind_has_its_files_and_every_file_its_kind() -> None:
    expected = {f"{kind.name}/{file}.json" for kind in kinds().values() for file in kind.files}
    assert expected == {path.as_posix() for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_cases_have_names_of_their_own_and_valid_and_invalid_ones_are_apart(path: Any) -> None:
    cases = json.loads((ROOT / path).read_text(encoding="utf-8"))["cases"]
    names = [case["name"] for case in cases]
    assert len(names) == len(set(names))
    rejected = {"reason" in case["expect"] for case in cases}
    expected = {"valid": {False}, "invalid": {True}}
    assert rejected == expected.get(path.stem, {True, False})


def test_each_reason_in_the_files_is_in_the_readme() -> None:
    reasons = {
        case["expect"]["reason"]
        for path in FILES
        for case in json.loads((ROOT / path).read_text(encoding="utf-8"))["cases"]
        if "reason" in case["expect"]
    }
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [] == sorted(reason for reason in reasons if f"`{reason}`" not in readme)
