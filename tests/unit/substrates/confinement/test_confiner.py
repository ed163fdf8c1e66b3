"""What a machine needs to confine is said in one line, with what to do about it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import sojourn
from sojourn.core.base.errors import Misused
from sojourn.host import process
from sojourn.substrates.confinement import confiner as module
from sojourn.substrates.confinement import seccomp
from sojourn.substrates.confinement.confiner import Confiner
from sojourn.substrates.confinement.layers import ALL_LAYERS, NO_LINE, Bounds, Confinement, Plan
from sojourn.substrates.confinement.view import view

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine")


def test_a_machine_without_bubblewrap_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Misused, match="bubblewrap is not installed") as raised:
        Confiner()
    assert "apt-get install bubblewrap" in raised.value.remedy


def test_a_kernel_without_landlock_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "abi", lambda: 0)
    with pytest.raises(Misused, match="this kernel has no Landlock"):
        Confiner()


def test_a_machine_for_which_no_filter_is_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp.platform, "machine", lambda: "riscv64")
    with pytest.raises(Misused, match="on Linux only, on x86-64 and arm64"):
        Confiner()


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo 'bwrap: No permissions to create new namespace' >&2; exit 1", "No permissions"),
        ("exit 3", "it ended with 3"),
        ('while [ "$1" != -- ]; do shift; done; shift; exec "$@"', "capabilities|namespace"),
    ],
    ids=["refused", "silent", "does-nothing"],
)
def test_a_bubblewrap_that_does_not_confine_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, problem: str
) -> None:
    program = tmp_path / "bwrap"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Misused, match=problem) as raised:
        Confiner()
    assert "user namespaces" in raised.value.remedy


def test_a_host_that_cannot_confine_says_so_once_and_offers_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with capture_logs() as logs:
        assert process._confiner() is None
    assert ["confines nothing"] == [entry["event"] for entry in logs]
    assert "apt-get install bubblewrap" in logs[0]["problem"]


def test_a_plan_reads_back_as_it_was_written() -> None:
    plan = Plan(
        line=NO_LINE,
        host=1,
        layers=tuple(sorted(ALL_LAYERS)),
        bounds=Bounds(files=9),
        readable=("/lib",),
        scratch=None,
        is_root=False,
        command=("a", "b"),
    )
    assert plan == Plan.of(plan.to_text())


def test_nothing_but_python_and_libraries_is_to_be_seen() -> None:
    seen = view()
    wide = ("/", "/etc", "/usr", "/usr/bin", "/home", "/proc", "/sys", "/dev", str(Path.home()))
    assert set() == set(wide) & set(seen.readable)


def test_sojourn_may_be_installed_below_the_folder_that_agents_have_their_own_of(
    tmp_path: Path,
) -> None:
    source = Path(sojourn.__file__).parent
    shutil.copytree(source, tmp_path / "sojourn", ignore=shutil.ignore_patterns("__pycache__"))
    text = "from sojourn.substrates.confinement.confiner import Confiner; Confiner()"
    subprocess.run(
        [sys.executable, "-c", text], env={**os.environ, "PYTHONPATH": str(tmp_path)}, check=True
    )


def test_the_environment_holds_no_more_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    names = set(Confiner(Confinement()).environment)
    assert {"HOME", "TMPDIR", "PYTHONPATH", "PYTHONHASHSEED"} <= names
    assert not any("SECRET" in name for name in names)
