"""Agents as text: one class around the lines that a test is about."""

from sojourn.checking.findings import Finding
from sojourn.checking.source_check import check_source

__all__ = ["found_in", "rules_in", "written"]


def written(run: str, *, head: str = "", body: str = "", before: str = "") -> str:
    """Return an agent's source: `run` are the lines of run, `head` of the module, `body` of the class."""
    return "\n".join(
        [
            "from sojourn import Agent, Context, Denied, UncertainOutcome, step",
            *head.splitlines(),
            "class Desk(Agent):",
            *_indented(body, 4),
            "    @step",
            "    async def look(self, x=0): return x",
            '    @step(effect="once", action="order.pay")',
            "    async def pay(self, x=0): return x",
            '    @step(effect="idempotent", action="mail.send")',
            "    def send(self, x=0): return x",
            "    async def help(self): return 1",
            f"    async def run(self, ctx{before}):",
            *_indented(run, 8),
        ]
    )


def _indented(text: str, by: int) -> list[str]:
    return [" " * by + line for line in text.splitlines()]


def found_in(text: str, **others: str) -> tuple[Finding, ...]:
    """Return what is found in an agent's file, with other modules beside it."""
    files = {
        "desk.py": text,
        **{f"{name.replace('__', '/')}.py": it for name, it in others.items()},
    }
    return check_source({path: it.encode() for path, it in files.items()}).findings


def rules_in(text: str, **others: str) -> list[str]:
    """Return the rules that are broken, a warning's with a question mark."""
    return [each.rule + ("" if each.is_error else "?") for each in found_in(text, **others)]
