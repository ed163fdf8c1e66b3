"""Secrets for a step that a test calls by itself, on an agent that does not run."""

from collections.abc import Iterator
from contextlib import contextmanager

from sojourn.runtime.secrecy import handed

__all__ = ["given_secrets"]


@contextmanager
def given_secrets(**secrets: str) -> Iterator[None]:
    """Let `sojourn.secret` return these inside the block. In a whole world, put them into `host.secrets`."""
    before = handed.set(secrets)
    try:
        yield
    finally:
        handed.reset(before)
