"""Judges mutants: each in a process of its own, forked from one that has collected the tests.

The tests that reach a mutant's line are known from one run under coverage, so only they are run, the quick
before the slow and those named after the module before others, until one fails. A change in a
function's body is put into the live functions of the fork (`__code__`), whoever imported them from where.
What that cannot reach, and a survivor that was at work while the modules were imported, is judged again in a
fork that imports everything anew. Nothing is written: the mutated text replaces the module's in the importer.
So a test that starts another process does not see the mutant there.
"""

import gc
import importlib.abc
import importlib.util
import os
import pickle
import resource
import signal
import sys
import tempfile
import time
import types
from collections import defaultdict
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from coverage import Coverage

from tests.mutation.mutants import Mutant

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "sojourn"
SECONDS_A_MUTANT = 5.0
"""The processor's time for a mutant's tests; those beyond are not run, but for those named after its module."""
TESTS_ANEW = 300
MEMORY_BYTES_MAX = 4 * 1024**3
REWRITTEN = (
    "ignore::pytest.PytestAssertRewriteWarning"  # hypothesis is imported before pytest asks for it
)
OPTIONS = [
    *("-q", "-x", "--capture=no", "-p", "no:cacheprovider", "-W", REWRITTEN),
    *("--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml")),
]


class Verdict(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    SURVIVED = "survived"
    UNREACHED = "reached by no test"
    UNSWAPPED = "not swapped"  # on the way only: to be judged anew


class Reach(NamedTuple):
    """What one run of the tests showed."""

    seconds: dict[str, float]  # by test
    tests: dict[str, dict[int, set[str]]]  # by file and line
    imported: dict[str, set[int]]  # lines that ran while the tests were collected
    budget: float = SECONDS_A_MUTANT

    def tests_for(self, mutant: Mutant) -> list[str]:
        """Return the tests that reach a mutant, in the order in which they are worth running."""
        lines = self.tests.get(mutant.file, {})
        everywhere = mutant.function is None
        own = f"tests/unit/{Path(mutant.file).parent}/test_{Path(mutant.file).stem}"
        found = lines.get(mutant.line, set())
        if (
            everywhere
        ):  # what stands in a class may be held by a test that runs no line of its module
            named = {test for test in self.seconds if test.startswith(own)}
            found = named.union(*lines.values())
        order = sorted(found, key=lambda t: (not t.startswith(own), self.seconds[t], t))
        chosen, spent = [], 0.0
        for test in order:
            spent += self.seconds[test]
            if spent < self.budget or test.startswith(own) or not chosen:
                chosen.append(test)
        return chosen


def reach_of(paths: list[str], files: list[str]) -> Reach:
    """Run all tests under coverage, in a process of its own, and return what each reaches."""
    return _in_child(lambda: _covered(paths, files))


def _covered(paths: list[str], files: list[str]) -> Reach:
    names = {str(SOURCE / file): file for file in files}
    coverage = Coverage(data_file=None, include=list(names), config_file=False)
    coverage.start()
    timer = _Timer(coverage)
    _silence()
    code = pytest.main([*OPTIONS, *paths], plugins=[timer])
    coverage.stop()
    if code != 0:
        raise RuntimeError(f"the tests fail without a mutant: {timer.failed}")
    tests: dict[str, dict[int, set[str]]] = {}
    imported: dict[str, set[int]] = {}
    data = coverage.get_data()
    for path, file in names.items():
        by_line = data.contexts_by_lineno(path)
        tests[file] = {line: set(found) - {""} for line, found in by_line.items()}
        imported[file] = {line for line, found in by_line.items() if "" in found}
    return Reach(timer.seconds, tests, imported)


class _Timer:
    """Notes how much work each test is, and tells coverage which one is running."""

    def __init__(self, coverage: Coverage) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.coverage.switch_context(nodeid)
        self.started = time.process_time()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.coverage.switch_context("")
        self.seconds[nodeid] = time.process_time() - self.started

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(f"{report.nodeid}: {report.longreprtext[-2000:]}")


class _Watch:
    """Ends the process with the first test that fails, or that hangs."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        seconds = self.seconds.get(nodeid, 0.0)
        signal.setitimer(signal.ITIMER_PROF, 5 + 10 * seconds)  # it works without end
        signal.setitimer(signal.ITIMER_REAL, 30 + 30 * seconds)  # it waits for nothing

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            os._exit(1)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            os._exit(1)


def swapped(
    mutants: list[Mutant], paths: list[str], reach: Reach
) -> Iterator[tuple[Mutant, Verdict]]:
    """Judge changes of functions' bodies, each in a fork of one process that has collected the tests."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _silence()
        pytest.main([*OPTIONS, *paths], plugins=[_Forks(mutants, reach, writer)])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        for mutant in mutants:
            yield mutant, _VERDICTS[answers.read(1)]
    os.waitpid(child, 0)


_VERDICTS = {
    b"k": Verdict.KILLED,
    b"t": Verdict.TIMED_OUT,
    b"s": Verdict.SURVIVED,
    b"n": Verdict.UNSWAPPED,
}


class _Forks:
    """Instead of running the tests once, runs those of each mutant in a fork."""

    def __init__(self, mutants: list[Mutant], reach: Reach, writer: int) -> None:
        self.mutants, self.reach, self.writer = mutants, reach, writer

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        gc.unfreeze()  # what is frozen, as all is once the tests are collected, is not told of
        functions = _live_functions()
        gc.freeze()
        for mutant in self.mutants:
            chosen = [items[test] for test in self.reach.tests_for(mutant)]
            verdict = self._verdict(mutant, chosen, functions)
            os.write(self.writer, verdict.value[:1].encode())
        return True

    def _verdict(
        self, mutant: Mutant, items: list[pytest.Item], functions: "_Functions"
    ) -> Verdict:
        path = str(SOURCE / mutant.file)
        line, name = mutant.function or (0, "")
        code = _code_at(compile(mutant.source, path, "exec", dont_inherit=True), line, name)
        live = functions[path, line, name]
        if not live or any(len(one.__code__.co_freevars) != len(code.co_freevars) for one in live):
            return Verdict.UNSWAPPED
        return _judged(lambda: self._try(live, code, items))

    def _try(
        self, live: list[types.FunctionType], code: types.CodeType, items: list[pytest.Item]
    ) -> None:
        for function in live:
            function.__code__ = code
        _run(items, self.reach.seconds)


def _run(items: list[pytest.Item], seconds: dict[str, float]) -> None:
    items[0].config.pluginmanager.register(_Watch(seconds))
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


_Functions = dict[tuple[str, int, str], list[types.FunctionType]]


def _live_functions() -> _Functions:
    found: _Functions = defaultdict(list)
    for thing in gc.get_objects():
        if type(thing) is types.FunctionType:
            code = thing.__code__
            found[code.co_filename, code.co_firstlineno, code.co_name].append(thing)
    return found


def _code_at(code: types.CodeType, line: int, name: str) -> types.CodeType:
    found = [code]
    while (one := found.pop(0)).co_firstlineno != line or one.co_name != name:
        found += [const for const in one.co_consts if isinstance(const, types.CodeType)]
    return one


def anew(mutant: Mutant, reach: Reach) -> Verdict:
    """Judge one mutant in a fork that imports the mutated module and the tests for the first time."""
    tests = reach.tests_for(mutant)[:TESTS_ANEW]
    return (
        _judged(lambda: _import_and_run(mutant, tests, reach.seconds))
        if tests
        else Verdict.UNREACHED
    )


def _import_and_run(mutant: Mutant, tests: list[str], seconds: dict[str, float]) -> None:
    sys.meta_path.insert(0, _Mutated(mutant))
    signal.setitimer(signal.ITIMER_REAL, 120)
    if pytest.main([*OPTIONS, *tests], plugins=[_Watch(seconds)]):
        os._exit(1)


class _Mutated(importlib.abc.MetaPathFinder):
    """Imports one module from its mutated text."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        parts = ("sojourn", *Path(mutant.file).with_suffix("").parts)
        self.name = ".".join(parts).removesuffix(".__init__")

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        spec.loader.get_code = lambda _: compile(self.mutant.source, spec.origin, "exec")
        return spec


_TIMERS = (signal.SIGALRM, signal.SIGPROF)


def _judged(trial: Callable[[], None]) -> Verdict:
    """Run a trial in a fork: it survives if it returns, and is killed by any exception, exit or signal."""
    child = os.fork()
    if not child:
        try:
            _silence()
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
            trial()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in _TIMERS:
        return Verdict.TIMED_OUT
    return Verdict.KILLED if status else Verdict.SURVIVED


def _in_child(work: Callable[[], Any]) -> Any:
    """Return what a function returns when it is called in a fork."""
    with tempfile.TemporaryFile() as file:
        child = os.fork()
        if not child:
            code = 1
            try:
                error = os.dup(2)
                pickle.dump(work(), file)
                file.flush()
                code = 0
            except BaseException as problem:
                os.write(error, f"{problem}\n".encode())
            os._exit(code)
        _, status = os.waitpid(child, 0)
        if status:
            raise SystemExit("mutation: the tests could not be run")
        file.seek(0)
        return pickle.load(file)


def _silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
