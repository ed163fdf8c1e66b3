"""The vocabulary of policies, published as a Cedar schema.

A policy is validated against it when it is signed, and every request is evaluated with it: without
a schema Cedar skips a policy that errors, and a `forbid` that is skipped turns a deny into an
allow. Every request has this shape:

    principal   the agent that asks
    action      one of the standard actions, or one that the application declares
    resource    for "travel" the zone it would go to, for everything else the zone where it is
    context     the circumstances

Time, counters and budgets are not part of a request, so equal requests are frequent and the
decision on them can be remembered.

Annotations of a rule mean nothing to Cedar, and two mean something here: `@id("name")` is what
decisions call it, and a permit with `@ask("group")` counts only together with an approval by that
group of approvers, which the document declares (protocol §8).

Source: Cedar policy language, "Schema grammar".
"""

import re
from collections.abc import Iterable
from typing import Final

from sojourn.core.base.errors import Misused

__all__ = ["APPLICATION", "STANDARD_ACTIONS", "check_actions", "schema_text"]

STANDARD_ACTIONS: Final = (
    "amend",
    "declassify",
    "disclose",
    "execute",
    "fork",
    "launch",
    "message",
    "query",
    "recover",
    "relabel",
    "retire",
    "spawn",
    "travel",
)
"""The actions every agent has. Their names have no dot."""

APPLICATION: Final = "application"
"""The group of all actions that applications declare: `action in Action::"application"`.

A zone cannot know by name what its guests' applications do, so an action it has not declared is
judged as `Action::"application"` itself.
"""

_ACTIONS_MAX: Final = 64
_ACTION_NAME: Final = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)+")
_ACTION_LENGTH_MAX: Final = 64

_ENTITIES: Final = """\
// The agent that asks. Its id is the text of its identifier.
entity Agent = {
  issuer: String,  // the issuer that governs it, as the text of its identifier: a digest of its
                   //   officers' keys and thresholds. What it calls itself is not told
  code: String,    // the digest of the code it runs, as text
  realm: String,   // the network it belongs to, such as "production" or "test"
  depth: Long,     // how many ancestors it has: 0 for one that was launched, 1 for its children
};

// A trust zone, as its signed manifest describes it. Its id is the text of its identifier.
entity Zone = {
  name: String,                 // what it calls itself: for people, no proof of identity
  provider: String,             // such as "aws", "azure", "onprem"
  region: String,               // the provider's name for the place, such as "eu-west-1"
  country: String,              // ISO 3166-1 alpha-2, such as "IE"; "" if not stated
  jurisdiction: Set<String>,    // every law it stands under, such as ["EU", "IE"]
  certifications: Set<String>,  // such as ["iso27001", "soc2"]
  accelerators: Set<String>,    // such as ["nvidia-a100"]; empty if it has none
  price_micros?: Long,          // list price of a host-hour, in millionths of the manifest's
                                //   currency unit; absent if unknown (0 is free of charge)
  anchors: Long,                // n, the anchors of its committee
  operators: Long,              // how many different operators run those anchors
};

// The circumstances of one request.
type Circumstances = {
  labels: Set<String>,             // the labels of all data that travels or is touched; for
                                   //   "declassify" those that the result keeps; "disclose" is asked
                                   //   before anything is read, and again with those of what was
  labels_dropped: Set<String>,     // further labels: for "relabel" and "declassify" those it would
                                   //   take off, for "travel" those of data that would stay behind
  residency: Set<String>,          // the jurisdictions that the residency of any of that data names;
                                   //   empty if it is free. That each compartment may be in the
                                   //   zone at all is checked apart from permission
  residency_dropped: Set<String>,  // further jurisdictions, as for labels_dropped
  effect: String,                  // on the outside world: "none" | "idempotent" | "once"
  step: String,                    // the step of the agent's code that asks, for "disclose" the query
                                   //   that is asked; "" outside a step
  cost_micros: Long,               // what the action is expected to spend, in millionths of the
                                   //   currency unit of the agent's budget
  own_process: Bool,               // for "execute": the code runs in a process of its own, which keeps
                                   //   crashes and memory apart and no more
  confined: Bool,                  // for "execute": the operating system keeps the code from network, files,
                                   //   programs, other processes and new privileges
  counterpart?: String,            // the other party: the agent written to, asked, spawned or forked,
                                   //   the receiver of an effect; for "disclose" who asks, an agent's identifier or
                                   //   a person's key in hexadecimal; absent if there is none
  secrets: Set<String>,            // the names of the secrets that the action is handed, such as
                                   //   ["openai"]; empty if it needs none
  outlives: Bool,                  // for "spawn": the child may go on when its parent has retired
  origin?: Zone,                   // for "travel": the zone it would leave
};
"""


def schema_text(extra_actions: Iterable[str] = ()) -> str:
    """Return the Cedar schema with the standard actions and the application's `extra_actions`.

    Equal sets of actions give equal text. Raises `Misused` as `check_actions` does.
    """
    extra = check_actions(extra_actions)
    actions = [_action(f'"{name}"', "") for name in (APPLICATION, *STANDARD_ACTIONS)]
    actions += [_action(f'"{name}"', f' in ["{APPLICATION}"]') for name in extra]
    return _ENTITIES + "\n" + "".join(actions)


def check_actions(names: Iterable[str]) -> tuple[str, ...]:
    """Return an application's action names, sorted and distinct.

    A name has two or more parts of lower-case letters, digits, "_" and "-", joined by dots, such as
    "order.place": so it never clashes with a standard action of this version or a later one.
    Raises `Misused` for any other name, and for more than 64 of them.
    """
    distinct = tuple(sorted(set(names)))
    for name in distinct:
        if len(name) > _ACTION_LENGTH_MAX or not _ACTION_NAME.fullmatch(name):
            problem = f"{name[:_ACTION_LENGTH_MAX]!r} cannot be the name of an application's action"
            remedy = f'Use lower case with a dot, at most {_ACTION_LENGTH_MAX} long: "order.place"'
            raise Misused(problem, remedy=remedy)
    if len(distinct) > _ACTIONS_MAX:
        problem = f"{len(distinct)} actions are declared, more than the limit of {_ACTIONS_MAX}"
        raise Misused(
            problem, remedy="Declare one action for each kind of effect, not for each use"
        )
    return distinct


def _action(name: str, group: str) -> str:
    return (
        f"action {name}{group} appliesTo "
        "{ principal: [Agent], resource: [Zone], context: Circumstances };\n"
    )
