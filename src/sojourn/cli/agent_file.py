"""The file that an agent is launched from: TOML, as `agent launch --help` shows it."""

import ast
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta

from sojourn.cli.approvers_file import ApproversSection
from sojourn.core.agent.capabilities import Requirements
from sojourn.core.agent.governance import Document
from sojourn.core.agent.memory.field import Form
from sojourn.core.base.encoding import Count, Name, Value
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.relaying import MODEL_CALL
from sojourn.runtime.apart import JOURNALS
from sojourn.runtime.processes.files import read_toml

__all__ = [
    "AgentFile",
    "MemorySection",
    "OutsideStep",
    "outside_steps",
    "read_agent_file",
    "undeclared_steps",
]

Level = Annotated[int, Meta(ge=0, le=10)]


class AgentSection(Value):
    """`[agent]`: `entry` is "module:Class"; its source lies beside the file."""

    entry: Name
    name: str = ""


class GovernanceSection(Value):
    """`[governance]`: policies are Cedar files, or documents that `sojourn policy sign` made.

    `issuer` names who signs the former (default: the launching key's name), `actions` the application's own
    actions that they name, `until` when they end (default: in ten years).
    """

    policies: tuple[str, ...]
    issuer: Name | None = None
    actions: tuple[Name, ...] = ()
    until: date | None = None
    guardians: tuple[str, ...] = ()


class IssuerSection(Value):
    """One of `[trust] issuers`, written out: its key, how far it is relied on, how long a chain it starts.

    `operations` bounds for what it is relied on (default: for all), `until` for how long (default: for good).
    """

    key: str
    name: Name | None = None
    level: Level = 10
    depth: Annotated[int, Meta(ge=1, le=8)] = 1
    operations: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()
    until: date | None = None


class TrustSection(Value):
    """`[trust]`: issuers, by the name of a public key here or in hexadecimal; the level an operation needs."""

    issuers: tuple[str | IssuerSection, ...]
    minimum: dict[Name, Level] = {}


class RequiresSection(Value):
    """`[capabilities.requires]`: `cpu` is cores; packages are `name` or `name>=1.2`."""

    cpu: Annotated[float, Meta(ge=0)] = 0
    memory_mib: Count = 0
    gpus: Count = 0
    packages: tuple[Name, ...] = ()
    models: tuple[Name, ...] = ()
    accelerators: tuple[Name, ...] = ()
    confined: bool = False

    def requirements(self) -> Requirements:
        """Return the same as the record states it."""
        return Requirements(
            cpu_millis=round(self.cpu * 1000),
            memory_mib=self.memory_mib,
            gpus=self.gpus,
            packages=self.packages,
            models=self.models,
            accelerators=self.accelerators,
            confined=self.confined,
        )


class CapabilitiesSection(Value):
    """`[capabilities]`: what it requires of a host, and the skills it offers."""

    requires: RequiresSection = RequiresSection()
    offers: tuple[Name, ...] = ()


class MemorySection(Value):
    """`[memory.<name>]`: a compartment, and what is in it at first.

    `form` is "mapping" or "log"; if it is left out, a table of values makes a mapping, all else a log. `encrypted` is
    true for a key of its own, or the name of a key: compartments that have one in common are erased together. `file`
    names, from the agent's file, what `sojourn agent memory export` wrote.
    """

    form: Form | None = None
    labels: tuple[Name, ...] = ()
    residency: tuple[Name, ...] = ()
    values: dict[str, Any] | list[Any] | None = None
    encrypted: bool | Name = False
    file: str | None = None

    @property
    def chosen_form(self) -> Form:
        """The form that is meant."""
        return self.form or (Form.MAPPING if isinstance(self.values, dict) else Form.LOG)


class AgentFile(Value):
    """The whole file. `budgets` are limits by name, in the unit that the name ends in.

    `approvers` are the groups that the Cedar files' rules may ask.
    """

    agent: AgentSection
    governance: GovernanceSection
    trust: TrustSection | None = None
    capabilities: CapabilitiesSection = CapabilitiesSection()
    memory: dict[Name, MemorySection] = {}
    budgets: dict[Name, Count] = {}
    approvers: dict[Name, ApproversSection] = {}


_GUARDIANS: Final = "guardians come with a later version"


def read_agent_file(path: Path) -> AgentFile:
    """Return the file, checked for what its form alone can tell. Raises `Misused`."""
    file = read_toml(path, AgentFile, what="agent's file")
    if file.governance.guardians:
        raise Misused(f"{path}: {_GUARDIANS}", remedy="Launch unguarded by leaving them out")
    if not file.governance.policies:
        problem = f"{path}: no policy governs the agent, and what no policy permits is denied"
        raise Misused(problem, remedy='Name one: policies = ["rules.cedar"]')
    for name, section in file.memory.items():
        if name.startswith(JOURNALS):
            problem = f"{path}: compartment {name!r} is named like a journal that is kept apart"
            raise Misused(problem, remedy=f"Give it a name that does not begin with {JOURNALS!r}")
        _check_values(path, name, section)
        if section.file is not None and section.values is not None:
            problem = f"{path}: compartment {name!r} has both values and a file"
            raise Misused(problem, remedy="Leave one of them out")
    return file


def _check_values(path: Path, name: str, section: MemorySection) -> None:
    is_fit = section.values is None or (
        isinstance(section.values, dict) == (section.chosen_form is Form.MAPPING)
    )
    if not is_fit:
        problem = f"{path}: compartment {name!r} is a {section.chosen_form}, its values are not"
        raise Misused(problem, remedy="A mapping has a table of values, a log a list")


class OutsideStep(Value):
    """A step with an effect outside the agent's zone: the method, and the action that policies judge."""

    step: str
    action: str


def outside_steps(source: Mapping[str, bytes]) -> tuple[OutsideStep, ...]:
    """Return the steps in an agent's source that declare an effect, by what is written: nothing is run.

    An effect that is no literal counts as one.
    """
    found = []
    for _, data in sorted(source.items()):
        for node in ast.walk(ast.parse(data)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found += [
                    OutsideStep(step=node.name, action=_text(given.get("action")))
                    for given in map(_keywords, node.decorator_list)
                    if _text(given.get("effect"), default="none") != "none"
                ]
            elif isinstance(node, ast.ClassDef):
                found += [OutsideStep(step=name, action=MODEL_CALL) for name in _models(node)]
    return tuple(found)


def undeclared_steps(
    outside: Sequence[OutsideStep], documents: Sequence[Document]
) -> tuple[OutsideStep, ...]:
    """Return the steps whose actions no document declares, though some action is written there."""
    declared = {action for document in documents for action in document.actions}
    return tuple(each for each in outside if each.action not in {*declared, "?", ""})


def _models(node: ast.ClassDef) -> list[str]:
    """Return the names of the model calls that a class declares: `think = model("tiny", ...)`."""
    return [
        target.id
        for each in node.body
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.Call)
        if _called(each.value) == "model"
        for target in each.targets
        if isinstance(target, ast.Name)
    ]


def _keywords(decorator: ast.expr) -> dict[str, ast.expr]:
    """Return the keyword arguments of a decorator that declares a step."""
    if not isinstance(decorator, ast.Call):
        return {}
    keywords = {word.arg: word.value for word in decorator.keywords if word.arg}
    return keywords if _called(decorator) == "step" else {}


def _called(call: ast.Call) -> str:
    named = call.func
    return named.attr if isinstance(named, ast.Attribute) else getattr(named, "id", "")


def _text(value: ast.expr | None, default: str = "") -> str:
    if value is None:
        return default
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else "?"
