"""What the driver is told."""

import pytest

from benchmarks.__main__ import _parser


def test_a_shorter_course_can_be_asked_for() -> None:
    assert _parser().parse_args([]).steps is None
    assert 200_000 == _parser().parse_args(["--steps", "200000"]).steps


@pytest.mark.parametrize("text", ["9999", "0", "-1", "1e6", "", "many", "9" * 5_000])
def test_a_course_that_is_too_short_or_no_number_is_refused(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        _parser().parse_args([f"--steps={text}"])
    assert "--steps" in capsys.readouterr().err.splitlines()[-1]
