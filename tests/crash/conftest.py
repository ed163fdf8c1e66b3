"""What the tests of crashes share: a zygote, and a reason where there can be none."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.killing import Enumerator
from tests.crash.power import Recording, record
from tests.crash.seccomp import can_watch
from tests.crash.zygote import Zygote

_TOLD = pytest.StashKey[list[str]]()


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return what notes how much was tried, for the end of the run."""
    return request.config.stash.setdefault(_TOLD, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was tried."""
    for line in terminalreporter.config.stash.get(_TOLD, []):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """Return what starts processes."""
    if why_not := can_watch():
        pytest.skip(why_not)
    made = Zygote()
    yield made
    made.close()


@pytest.fixture
def enumerator(zygote: Zygote, tmp_path: Path) -> Enumerator:
    """Return what sends anchors on errands."""
    return Enumerator(zygote, tmp_path)


@pytest.fixture(scope="session")
def recording(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Return one run of the errand, from the anchor's start to a graceful stop."""
    return record(Enumerator(zygote, tmp_path_factory.mktemp("recording")))
