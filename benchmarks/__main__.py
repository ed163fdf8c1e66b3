"""`python -m benchmarks`: see the package's docstring."""

import argparse
import logging
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog
from rich.console import Console

from benchmarks import __doc__ as about
from benchmarks import machine, suite
from benchmarks.measuring import QUICK, Scale
from benchmarks.report import Report

RESULTS: Final = Path(__file__).parent / "results"
_STEPS_MIN: Final = 10_000


def main() -> int:
    """Run the benchmarks that were asked for; return 1 if any of them failed."""
    arguments = _parser().parse_args()
    if arguments.list:
        print("\n".join(suite.NAMES))
        return 0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    scale = replace(QUICK if arguments.quick else Scale(), steps=arguments.steps)
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    with tempfile.TemporaryDirectory(prefix="sojourn-bench-", dir=arguments.folder) as folder:
        Path(folder).chmod(
            0o711
        )  # a peer's server may run as somebody else, who has to pass through
        report = Report(machine.configuration(Path(folder)), console)
        for name in arguments.only or suite.NAMES:
            _run(name, scale, Path(folder), report)
    report.note("load_after", machine.load())
    report.note("quick", arguments.quick)
    console.print(f"\nWritten to {report.write(arguments.out)}", markup=False, soft_wrap=True)
    if report.failed:
        console.print(f"Failed: {', '.join(report.failed)}", style="bold red")
    return 1 if report.failed else 0


def _run(name: str, scale: Scale, folder: Path, report: Report) -> None:
    """Run one benchmark; whatever goes wrong in it, the others still run."""
    what = ""
    try:
        benchmark = suite.load(name)
        what = benchmark.about
        (folder / name).mkdir()
        result = benchmark.run(scale, folder / name)
    except Exception as error:
        report.add_failure(name, what, f"{type(error).__name__}: {error}")
    else:
        report.add(name, what, result)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="shorter and fewer repetitions")
    parser.add_argument("--only", nargs="+", choices=suite.NAMES, metavar="NAME", help="only these")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument(
        "--folder", type=Path, help="where stores go (the system's temporary folder)"
    )
    parser.add_argument(
        "--steps", type=_steps, metavar="N", help="of the one agent in `endurance` (a million)"
    )
    parser.add_argument("--list", action="store_true", help="print the names and end")
    return parser


def _steps(text: str) -> int:
    """Return how many steps were asked for: a tenth of fewer is over before it is looked at."""
    if not text.isdecimal() or int(text) < _STEPS_MIN:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number from {_STEPS_MIN} on")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
