"""Write `vectors/policy`: generated cases in the format of Cedar's own integration tests.

What is expected comes from the oracle, never from the engine that is tried. Run by
`python -m tests.policy.make_corpus`; the same cases come out every time.
"""

import json
import random
import sys
from pathlib import Path
from typing import Any, Final

from sojourn.core.policy.schema import schema_text
from tests.policy.generating import DECLARED, ZONES, made_party, made_question
from tests.policy.oracle import Question, plain_answer
from tests.policy.reading import read

__all__ = ["FOLDER", "files"]

FOLDER: Final = Path(__file__).parents[2] / "vectors" / "policy"
_TESTS: Final = 48
_REQUESTS: Final = 8
_INVALID: Final = (
    "permit (principal, action, resource) when { resource.price_micros > 1 };",
    "permit (principal, action, resource) when { context.step > 1 };",
    'permit (principal, action == Action::"not.declared", resource);',
)
"""Policies that are not valid by the schema, each for a reason of its own."""


def files() -> dict[str, str]:
    """Return the corpus: the text of each file by its name in the folder."""
    found = {"schema.cedarschema": schema_text(DECLARED)}
    for number in range(_TESTS):
        found |= _test(number)
    for number, text in enumerate(_INVALID):
        name = f"invalid-{number}"
        found[f"files/{name}.cedar"] = text + "\n"
        found[f"files/{name}.entities.json"] = "[]\n"
        found[f"tests/{name}.json"] = _json(_head(name) | {"shouldValidate": False, "requests": []})
    return found


def _test(number: int) -> dict[str, str]:
    rng = random.Random(f"corpus {number}")
    text = _reaching(rng)
    # One set of entities for all requests of a test, as the format has it.
    world = made_question(rng)
    zones = {name: made_question(rng).zone[1] for name in ZONES}
    asked = [_placed(made_question(rng), world, zones) for _ in range(_REQUESTS)]
    asked = [each for each in asked if each.action != "x.y"]
    name = f"{number:03}"
    entities = [_entity("Agent", each.agent[0], world.agent[1]) for each in asked]
    entities += [_entity("Zone", *each) for each in zones.items()]
    distinct = {each["uid"]["id"]: each for each in entities}
    test = _head(name) | {
        "shouldValidate": True,
        "requests": [_request(n, each, text, zones) for n, each in enumerate(asked)],
    }
    return {
        f"files/{name}.cedar": text,
        f"files/{name}.entities.json": _json([distinct[key] for key in sorted(distinct)]),
        f"tests/{name}.json": _json(test),
    }


def _reaching(rng: random.Random) -> str:
    """Return rules that name none but declared actions."""
    while True:
        party = made_party(rng, rules=5, asks=False)
        if party.declared == DECLARED:
            return "\n".join(party.texts)


def _placed(question: Question, world: Question, zones: dict[str, Any]) -> Question:
    zone = question.zone[0]
    origin = question.origin and question.origin[0]
    return Question(
        (question.agent[0], world.agent[1]),
        question.action,
        (zone, zones[zone]),
        (origin, zones[origin]) if origin else None,
        question.context,
    )


def _head(name: str) -> dict[str, Any]:
    return {
        "policies": f"files/{name}.cedar",
        "entities": f"files/{name}.entities.json",
        "schema": "schema.cedarschema",
    }


def _request(number: int, question: Question, text: str, zones: dict[str, Any]) -> dict[str, Any]:
    answer = plain_answer(read(text), question, frozenset(DECLARED), zones)
    context = dict(question.context)
    if question.origin:
        context["origin"] = {"__entity": {"type": "Zone", "id": question.origin[0]}}
    return {
        "description": f"Request {number}",
        "principal": {"type": "Agent", "id": question.agent[0]},
        "action": {"type": "Action", "id": question.action},
        "resource": {"type": "Zone", "id": question.zone[0]},
        "context": context,
        "validateRequest": True,
        "decision": "allow" if answer.permitted else "deny",
        "reason": [f"policy{index}" for index in answer.reasons],
        "errors": [f"policy{index}" for index in answer.errors],
    }


def _entity(kind: str, name: str, attributes: Any) -> dict[str, Any]:
    return {"uid": {"type": kind, "id": name}, "attrs": dict(attributes), "parents": []}


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def main() -> None:
    """Write every file, and remove what is no part of the corpus any more."""
    made = files()
    for path in FOLDER.rglob("*"):
        if path.is_file() and path.relative_to(FOLDER).as_posix() not in {*made, "README.md"}:
            path.unlink()
    for name, text in made.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sys.stdout.write(f"{len(made)} files in {FOLDER.name}\n")


if __name__ == "__main__":
    main()
