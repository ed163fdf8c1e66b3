"""Comments that allow a rule on their line, and those that do not."""

import pytest

from tests.unit.checking.agents_written import found_in, rules_in, written


def with_comment(comment: str) -> str:
    return written(f"time.time(), open('file')  {comment}", head="import time")


@pytest.mark.parametrize(
    ("comment", "rules"),
    [
        ("# sojourn: allow clock (a test)", ["outside"]),
        ("# sojourn: allow clock,outside: both are a test's", []),
        ("# noqa: PTH123  # sojourn: allow outside it is there on every host", ["clock"]),
        ("# sojourn: allow order (another rule)", ["clock", "outside"]),
        ("# sojourn: forbid clock", ["clock", "outside"]),
    ],
)
def test_a_comment_allows_the_rules_that_it_names(comment: str, rules: list[str]) -> None:
    assert rules == rules_in(with_comment(comment))


@pytest.mark.parametrize(
    ("comment", "fault"),
    [
        ("# sojourn: allow", "names no rule"),
        ("# sojourn: allow clock", "gives no reason"),
        ("# sojourn: allow clock,outside ()", "gives no reason"),
        ("# sojourn: allow clocks (a test)", "no rule 'clocks'"),
        ("# sojourn: allow all of it", "no rule 'all'"),
    ],
)
def test_one_without_a_rule_or_a_reason_allows_nothing_and_is_said(
    comment: str, fault: str
) -> None:
    found = {each.rule: each for each in found_in(with_comment(comment))}
    assert {"allow", "clock", "outside"} == set(found)
    assert fault in found["allow"].what
    assert not found["allow"].is_error


def test_it_counts_on_its_own_line_and_as_a_comment_alone() -> None:
    head = "import time"
    assert ["clock"] == rules_in(
        written("# sojourn: allow clock (not here)\ntime.time()", head=head)
    )
    quoted = "time.time(), '# sojourn: allow clock (not here)'"
    assert ["clock"] == rules_in(written(quoted, head=head))
