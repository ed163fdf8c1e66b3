"""`import sojourn`: one list of names, and nothing imported before it is used."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest

import sojourn


def test_every_public_name_is_there() -> None:
    names = [name for name in sojourn.__all__ if name != "__version__"]
    assert all(hasattr(sojourn, name) for name in names)
    assert dir(sojourn) == sojourn.__all__ == sorted(sojourn.__all__)


def test_the_version_is_that_of_the_installed_package() -> None:
    try:
        expected = version("sojourn")
    except PackageNotFoundError:
        expected = "0+unknown"
    assert sojourn.__version__ == expected


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'sojourn' has no attribute 'agent_of_chaos'"):
        sojourn.agent_of_chaos  # type: ignore[attr-defined]  # noqa: B018


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = "{'asyncio', 'msgspec', 'cbrrr', 'nacl', 'sojourn.runtime'}"
    code = f"import sys, sojourn; print(sorted({heavy} & set(sys.modules)))"
    printed = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    ).stdout
    assert printed == "[]\n"


def test_times_are_in_seconds() -> None:
    assert sojourn.days(2) == 48 * sojourn.hours(1) == 48 * 60 * sojourn.minutes(1) == 172_800
    assert sojourn.seconds(3) == 3
