"""`sojourn policy corpus`: run files in the format of Cedar's own integration tests."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import click
import msgspec

from sojourn.cli.options import json_option
from sojourn.cli.output import clean, counted, emit, say
from sojourn.core.base.errors import Misused
from sojourn.core.policy.cedar import Foreign
from sojourn.core.policy.source import depth_of
from sojourn.runtime.processes.files import read_bounded

__all__ = ["corpus", "read_test", "read_text"]

_FILE_BYTES_MAX: Final = 16 * 1024 * 1024
_DEPTH_MAX: Final = 400
"""How deep a text may nest: Cedar's parser ends the process at some 600."""
_SHOWN_MAX: Final = 3
_MISMATCHED: Final = 1


class Entity(msgspec.Struct, frozen=True):
    """An entity as requests of the format name it."""

    type: str
    id: str


class Asked(msgspec.Struct, frozen=True, rename="camel"):
    """One request and what is expected of it: the names of policies that decide, and that err."""

    principal: Entity
    action: Entity
    resource: Entity
    decision: Literal["allow", "deny", "Allow", "Deny"]
    reason: tuple[str, ...]
    errors: tuple[str, ...]
    context: dict[str, Any] = {}
    description: str = ""
    validate_request: bool = True


class Test(msgspec.Struct, frozen=True, rename="camel"):
    """One file of the format. The names of files are relative to the corpus."""

    policies: str
    entities: str
    schema: str
    should_validate: bool
    requests: tuple[Asked, ...]


class Mismatch(msgspec.Struct, frozen=True):
    """A case that came out otherwise than its file says: what was asked, expected and found."""

    file: str
    case: str
    expected: Any
    found: Any
    policies: str
    request: Any


class CorpusRun(msgspec.Struct, frozen=True):
    """How a corpus was run. A case is a request, or the validation of a file's policies."""

    files: int
    cases: int
    mismatches: int
    first: tuple[Mismatch, ...]


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@json_option
def corpus(folder: Path, as_json: bool) -> int:
    """Run the cases in DIR, in the format of Cedar's own integration tests, with the Cedar that decides here.

    A case is a request with the decision, the deciding policies and the policies in error that its file expects; and
    for each file, whether its policies are valid by its schema. It asks Cedar alone, which skips a policy that
    errors; agents and zones deny then. Ends with exit code 1 if a case comes out otherwise, and shows the first ones.

    Example:
      sojourn policy corpus vectors/policy
    """
    if not folder.is_dir():
        raise Misused(f"{folder} is no folder", remedy="Give the folder of a corpus")
    files, cases, found = 0, 0, list[Mismatch]()
    for path, test in _tests(folder):
        files += 1
        cases += 1 + len(test.requests)
        found += _run(folder, path, test)
    if not files:
        problem = f"{folder} holds no tests"
        remedy = 'A test is a .json file with "policies", "entities", "schema" and "requests"'
        raise Misused(problem, remedy=remedy)
    emit(CorpusRun(files, cases, len(found), tuple(found[:_SHOWN_MAX])), as_json, _render)
    return _MISMATCHED if found else 0


def _tests(folder: Path) -> Iterator[tuple[Path, Test]]:
    """Yield the tests below a folder: each JSON object that has requests."""
    for path in sorted(folder.rglob("*.json")):
        data = read_bounded(path, what="test", limit=_FILE_BYTES_MAX)
        if (test := read_test(path, data)) is not None:
            yield path, test


def read_test(path: Path, data: bytes) -> Test | None:
    """Return the test that a file holds; None for JSON that has no requests. Raises `Misused`."""
    try:
        value = json.loads(data)
        is_test = isinstance(value, dict) and "requests" in value
        return msgspec.convert(value, Test) if is_test else None
    except RecursionError:
        raise _wrong(path, "it nests too deep") from None
    except (ValueError, msgspec.ValidationError) as error:
        raise _wrong(path, str(error)) from None


def _wrong(path: Path, problem: str) -> Misused:
    return Misused(
        f"{path} is no test: {clean(problem)[:300]}",
        remedy="Correct the file, or take it out of the corpus",
    )


def _run(folder: Path, path: Path, test: Test) -> Iterator[Mismatch]:
    policies = _text(folder, path, test.policies)
    schema, entities = _text(folder, path, test.schema), _text(folder, path, test.entities)
    try:
        foreign = Foreign.of(policies, schema, entities)
        valid = foreign.is_valid()
    except ValueError as error:
        raise _wrong(path, f"Cedar does not read what it names: {error}") from None
    if valid != test.should_validate:
        yield Mismatch(str(path), "validation", test.should_validate, valid, policies, None)
    for number, asked in enumerate(test.requests):
        expected, found = _expected(asked), _found(foreign, asked)
        if expected != found:
            case = f"request {number}: {asked.description}"
            yield Mismatch(str(path), case, expected, found, policies, msgspec.to_builtins(asked))


def _expected(asked: Asked) -> dict[str, Any]:
    return {
        "decision": asked.decision.lower(),
        "reason": sorted(asked.reason),
        "errors": sorted(asked.errors),
    }


def _found(foreign: Foreign, asked: Asked) -> dict[str, Any]:
    question = {
        name: msgspec.to_builtins(getattr(asked, name))
        for name in ("principal", "action", "resource")
    }
    question["context"] = json.dumps(asked.context)
    try:
        answer = foreign.ask(question, validate=asked.validate_request)
    except ValueError as error:
        return {"refused": str(error)}
    return {
        "decision": "allow" if answer.permitted else "deny",
        "reason": list(answer.reasons),
        "errors": list(answer.errors),
    }


def _text(folder: Path, path: Path, name: str) -> str:
    """Return the text of a file that a test names: from the corpus, from above it, or from beside the test."""
    bases = (folder, folder.parent, path.parent)
    found = next((file for base in bases if (file := _within(base, name))), None)
    if found is None:
        raise _wrong(path, f"there is no file {name[:200]}")
    return read_text(found, read_bounded(found, what="file of the corpus", limit=_FILE_BYTES_MAX))


def read_text(path: Path, data: bytes) -> str:
    """Return a file's text, which nests no deeper than Cedar's parser can stand. Raises `Misused`."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _wrong(path, "it is not text in UTF-8") from None
    if (depth := depth_of(text)) > _DEPTH_MAX and path.suffix != ".json":
        raise _wrong(path, f"it nests {depth} deep, more than {_DEPTH_MAX}")
    return text


def _within(base: Path, name: str) -> Path | None:
    """Return a file by its name below a folder, and nowhere else."""
    root = base.resolve()
    file = (root / name).resolve() if "\0" not in name else root
    return file if file.is_relative_to(root) and file.is_file() else None


def _render(run: CorpusRun) -> None:
    differ = "none differs" if not run.mismatches else f"{run.mismatches} differ"
    say(f"{counted(run.cases, 'case')} in {counted(run.files, 'file')}: {differ}")
    for each in run.first:
        say("")
        say(f"{each.file}, {clean(each.case)}")
        say(f"  expected  {json.dumps(each.expected)}")
        say(f"  found     {json.dumps(each.found)}")
        if each.request is not None:
            say(f"  request   {json.dumps(each.request)}")
        for line in each.policies.splitlines():
            say(f"    {clean(line)}")
    if run.mismatches > len(run.first):
        say("")
        say(
            f"and {counted(run.mismatches - len(run.first), 'further mismatch', 'further mismatches')}"
        )
