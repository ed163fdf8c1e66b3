"""Comments that allow a rule on their line: `# sojourn: allow order (the sum is the same in any)`.

The reason is not for the check: it is for whoever reads the line next. Without one nothing is allowed.
"""

import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from typing import Final

from sojourn.checking.findings import RULES, Finding, Severity
from sojourn.checking.sources import ModuleSource

__all__ = ["allowed", "faulty_comments"]

_COMMENT: Final = re.compile(
    r"#\s*sojourn:\s*allow\b\s*(?P<rules>[\w-]+(?:,[\w-]+)*)?(?P<reason>.*)"
)


def allowed(modules: Iterable[ModuleSource]) -> set[tuple[str, int, str]]:
    """Return what comments allow: path, line and rule."""
    return {
        (module.path, line, rule)
        for module in modules
        for line, _, found in _comments(module)
        if not _faults(found)
        for rule in found["rules"].split(",")
    }


def faulty_comments(modules: Iterable[ModuleSource]) -> Iterator[Finding]:
    """Yield the comments that allow nothing, since they name no rule or no reason."""
    for module in modules:
        for line, column, found in _comments(module):
            if fault := _faults(found):
                yield Finding(
                    path=module.path,
                    line=line,
                    column=column,
                    rule="allow",
                    severity=Severity.WARNING,
                    what=f"this comment allows nothing: {fault}",
                    instead="Write # sojourn: allow RULE (why it is no harm)",
                )


def _faults(found: re.Match[str]) -> str:
    """Return what is wrong with a comment; "" if it allows something."""
    rules = found["rules"].split(",") if found["rules"] else []
    unknown = [rule for rule in rules if rule not in RULES]
    if not rules:
        return "it names no rule"
    if unknown:
        return f"there is no rule {unknown[0]!r}"
    return "" if re.search(r"\w", found["reason"]) else "it gives no reason"


def _comments(module: ModuleSource) -> Iterator[tuple[int, int, re.Match[str]]]:
    if "sojourn:" not in module.text:
        return
    try:
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
            if token.type == tokenize.COMMENT and (found := _COMMENT.search(token.string)):
                yield token.start[0], token.start[1] + 1, found
    except (tokenize.TokenError, SyntaxError):
        return  # what the parser takes and this does not has no comments that can be trusted
