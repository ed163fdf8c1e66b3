"""What of a fork's journal is its origin's: effects are told apart by their keys."""

from sojourn.core.base.digests import cid_text

__all__ = ["is_key_of"]


def is_key_of(key: str, agent: bytes) -> bool:
    """Tell whether an effect's key is of an agent: a fork finds its origin's in its journal."""
    return key.startswith(f"{cid_text(agent)}/")
