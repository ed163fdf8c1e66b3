"""The list of survivors that are harmless, each with the reason: `survivors.toml`."""

import tomllib
from pathlib import Path

from tests.mutation.mutants import Mutant

LIST = Path(__file__).with_name("survivors.toml")

Key = tuple[str, str, str, str]


def explained(path: Path = LIST) -> dict[Key, str]:
    """Return why each listed survivor is harmless, by file, scope, what was there and what is there now."""
    entries = tomllib.loads(path.read_text()).get("survivor", []) if path.exists() else []
    return {
        (file, scope, one["was"], one["now"]): one["why"]
        for one in entries
        for file, _, scope in [one["at"].partition(": ")]
    }


def shown(mutant: Mutant, verdict: str) -> str:
    """Return a survivor in the form in which it would be listed."""
    quote = "'''"
    return (
        f"\n[[survivor]]  # line {mutant.line}, {verdict}\n"
        f'at = "{mutant.file}: {mutant.scope}"\n'
        f"was = {quote}{mutant.was}{quote}\n"
        f"now = {quote}{mutant.now}{quote}\n"
        f'why = ""\n'
    )
