"""The world outside, where inside agents of tests have their effects."""

from collections.abc import Callable

effects: list[str] = []
"""What has happened, in order."""
hooks: list[Callable[[str], None]] = []
"""Called with each effect, right after it."""


def happen(what: str) -> None:
    """Have an effect."""
    effects.append(what)
    for hook in hooks:
        hook(what)


def forget() -> None:
    """Begin anew."""
    effects.clear()
    hooks.clear()
