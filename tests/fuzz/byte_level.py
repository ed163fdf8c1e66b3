"""Searches with atheris, in a process of their own: `python -m tests.fuzz.byte_level FOLDER/jobs`.

libFuzzer changes bytes, Python's own bytecode tells it what was reached. Several targets share one search: the
first byte of an input names its target. `runs` writes the jobs and reads, for each, its folder: `report` (what was
run and found), `said` (libFuzzer's words), `status` (of its process), and inputs that ended the process.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["sojourn", "tests.fuzz.canaries"]):
    from tests.fuzz.canaries import CANARIES
    from tests.fuzz.targets import TARGETS, by_name

from tests.fuzz.target import Finding, Target, examine

__all__ = ["FOUND_STATUS", "main"]

FOUND_STATUS = 70
_REPORT_EVERY = 500
_CORPUS_BYTES_MAX = 16_384


class Search:
    """Counts what is run, and says what was found."""

    def __init__(self, targets: Sequence[Target], report: Path, *, goes_on: bool) -> None:
        self._targets, self._report, self._goes_on = targets, report, goes_on
        self._found: dict[str, dict[str, str]] = {}
        self._runs: Counter[str] = Counter()
        self._accepted: Counter[str] = Counter()
        self._total, self._began_s = 0, time.monotonic()

    def one(self, data: bytes) -> None:
        """Run one input."""
        target, data = self._aimed(data)
        self._runs[target.name] += 1
        self._total += 1
        try:
            self._accepted[target.name] += examine(target, data)
        except Finding as finding:
            self._note(target, finding, data)
        if self._total % _REPORT_EVERY == 0:
            self.write()

    def _note(self, target: Target, finding: Finding, data: bytes) -> None:
        kind = f"{target.name}: {type(finding.__cause__ or finding).__name__}"
        found = {"target": target.name, "finding": str(finding), "data": data.hex()}
        self._found.setdefault(kind, found)
        self.write()
        if not self._goes_on:
            os._exit(FOUND_STATUS)

    def _aimed(self, data: bytes) -> tuple[Target, bytes]:
        if len(self._targets) == 1:
            return self._targets[0], data
        return self._targets[(data[0] if data else 0) % len(self._targets)], data[1:]

    def write(self) -> None:
        """Write the report of what was run so far."""
        seconds = time.monotonic() - self._began_s
        counts = {"runs": self._total, "seconds": seconds}
        each = {name: [runs, self._accepted[name]] for name, runs in self._runs.items()}
        whole = counts | {"targets": each, "found": list(self._found.values())}
        self._report.write_text(json.dumps(whole))

    def seed(self, corpus: Path) -> None:
        """Put the targets' seeds where libFuzzer begins."""
        for index, target in enumerate(self._targets):
            aim = b"" if len(self._targets) == 1 else bytes([index])
            for number, data in enumerate(target.seeds):
                if len(data) <= _CORPUS_BYTES_MAX:
                    (corpus / f"{index:02}-{number:04}").write_bytes(aim + data)


def main() -> None:
    """Do the jobs one after the other, each in a child of this process: nothing is instrumented twice."""
    for number, job in enumerate(json.loads(Path(sys.argv[1]).read_text())):
        folder = Path(sys.argv[1]).with_name(str(number))
        (folder / "corpus").mkdir(parents=True)
        child = os.fork()
        if not child:
            _do(job, folder)
        _, status = os.waitpid(child, 0)
        (folder / "status").write_text(str(os.waitstatus_to_exitcode(status)))


def _do(job: dict[str, Any], folder: Path) -> None:
    """Search until something is found or libFuzzer ends it, and this process."""
    with (folder / "said").open("w") as said:
        os.dup2(said.fileno(), sys.stdout.fileno())
        os.dup2(said.fileno(), sys.stderr.fileno())
    if job["canary"]:
        CANARIES[job["canary"]].plant()
    targets = [by_name[name] for name in job["targets"]] or TARGETS
    search = Search(targets, folder / "report", goes_on=job["goes_on"])
    search.seed(folder / "corpus")
    search.write()
    options = [*job["options"], f"-artifact_prefix={folder}/input-"]
    atheris.Setup([sys.argv[0], *options, str(folder / "corpus")], search.one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
