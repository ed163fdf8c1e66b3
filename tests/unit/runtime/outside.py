"""The world outside, where inside agents of tests have their effects."""

from collections.abc import Callable

effects: list[str] = []
"""What has happened, in order."""
noted: list[str] = []
"""How far the code is, which is no effect."""
hooks: list[Callable[[str], None]] = []
"""Called with each effect, right after it."""


def note(what: str) -> None:
    """Let the test know how far the code is."""
    noted.append(what)


def happen(what: str) -> None:
    """Have an effect."""
    effects.append(what)
    for hook in hooks:
        hook(what)


def forget() -> None:
    """Begin anew."""
    effects.clear()
    hooks.clear()
    noted.clear()
