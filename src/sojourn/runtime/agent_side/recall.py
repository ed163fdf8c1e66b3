"""Semantic recall: texts of a compartment, found again by what they mean.

    "model"      ["recall/1", model, dimensions]      whose vectors these are: no other's are compared with them
    "t/" + key   [text, metadata]
    "v/" + key   the text's vector (`core.agent.memory.vectors`)

All of it is a mapping, so labels, encryption and moves are those of any. Every vector is looked at: the result is
exact, and the same on every host.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from collections.abc import Mapping as Dictionary
from typing import Any, Final, NamedTuple, TypeAlias

from sojourn.core.agent.memory.field import Form
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.agent.memory.vectors import SCORE_UNIT, scores
from sojourn.core.base.errors import Misused, Rejected
from sojourn.runtime.agent_side.compartments import WorkingMemory
from sojourn.runtime.agent_side.embedding import Embedder
from sojourn.runtime.typed import kind_of, to_plain

__all__ = ["Embed", "Hit", "Recall", "Where", "parse_note", "vectors_of"]

_MODEL: Final = "model"
_KIND: Final = "recall/1"
_TEXTS, _VECTORS = "t/", "v/"
_AT_ONCE: Final = 64
"""Texts that are embedded in one step: their vectors are in one record of the journal."""

Where: TypeAlias = Dictionary[str, Any] | Callable[[dict[str, Any]], bool]
"""Which metadata a hit must have: these values under these keys, or whatever a function says."""
Embed: TypeAlias = Callable[[Sequence[str], bool], Awaitable[list[bytes]]]
"""Makes packed vectors of texts, by a step if need be; the flag says that they are queries."""


class Hit(NamedTuple):
    """A text that was found; `score` is the cosine of its vector and the query's, from -1 to 1."""

    key: str
    score: float
    text: str
    metadata: dict[str, Any]


class Recall:
    """`ctx.memory.recall(name)`: texts by key, and those most like another.

    The compartment is a mapping that holds nothing else. Whatever takes a vector is awaited.
    """

    def __init__(self, working: WorkingMemory, name: str, embedder: Embedder, embed: Embed) -> None:
        self._working = working
        self._name = name
        self._embedder = embedder
        self._embed = embed

    async def add(self, key: str, text: str, metadata: Dictionary[str, Any] | None = None) -> None:
        """Keep a text under a key, with metadata, in place of what was there. Raises `Misused`."""
        await self.add_all([(key, text, metadata)])

    async def add_all(self, items: Iterable[tuple[str, str, Dictionary[str, Any] | None]]) -> None:
        """Keep many texts: (key, text, metadata) of each. Raises `Misused`, and then none of them is kept."""
        self._check_model(self._handle)
        noted = [self._note(*item) for item in items]
        if not noted:
            return
        vectors = await self._vectors([text for _, (text, _) in noted])
        handle = self._handle.put(_MODEL, [_KIND, self._embedder.model, self._embedder.dimensions])
        for (key, note), vector in zip(noted, vectors, strict=True):
            handle = handle.put(_TEXTS + key, note).put(_VECTORS + key, vector)
        self._working.replace(self._name, handle)

    async def search(self, text: str, k: int = 10, where: Where | None = None) -> list[Hit]:
        """Return the `k` texts most like this one, the likest first; those alike in the order of their keys.

        With `where`, only those whose metadata it allows. Raises `Misused` for texts of another model.
        """
        if k < 1:
            raise Misused(f"a search for {k} texts", remedy="Ask for at least one")
        if not isinstance(text, str):
            raise Misused(f"a search for a {kind_of(text)}", remedy="Give the text to look for")
        self._check_model(self._handle)
        (query,) = await self._embed([text], True)
        handle, found = self._handle, list[Hit]()
        for key, score in _ranked(query, vectors_of(handle)):
            hit = _hit(handle, key, score * SCORE_UNIT)
            if _allows(where, hit.metadata):
                found.append(hit)
            if len(found) == k:
                break
        return found

    def __getitem__(self, key: str) -> Hit:
        """Return a text by its key, with score 1. Raises `KeyError`."""
        return _hit(self._handle, key, 1.0)

    def __contains__(self, key: str) -> bool:
        return _TEXTS + key in self._handle

    def __len__(self) -> int:
        return len(self._handle) // 2

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that start with `prefix`, in order."""
        return (key[len(_TEXTS) :] for key in self._handle.keys(_TEXTS + prefix))

    def __delitem__(self, key: str) -> None:
        """Remove a text. Raises `KeyError`."""
        if key not in self:
            raise KeyError(key)
        handle = self._handle.delete(_TEXTS + key).delete(_VECTORS + key)
        self._working.replace(self._name, handle)

    async def rebuild(self) -> None:
        """Embed all texts anew, with another model than those that are there, or the same. All or none."""
        handle = self._handle
        self._told(handle)
        keys = [key[len(_TEXTS) :] for key in handle.keys(_TEXTS)]
        vectors = await self._vectors([parse_note(handle.get(_TEXTS + key))[0] for key in keys])
        handle = self._handle.put(_MODEL, [_KIND, self._embedder.model, self._embedder.dimensions])
        for key, vector in zip(keys, vectors, strict=True):
            if _TEXTS + key in handle:
                handle = handle.put(_VECTORS + key, vector)
        self._working.replace(self._name, handle)

    async def _vectors(self, texts: list[str]) -> list[bytes]:
        found: list[bytes] = []
        for at in range(0, len(texts), _AT_ONCE):
            found += await self._embed(texts[at : at + _AT_ONCE], False)
        return found

    def _note(
        self, key: str, text: str, metadata: Dictionary[str, Any] | None = None
    ) -> tuple[str, list[Any]]:
        given: tuple[object, object] = (key, text)
        if not all(isinstance(each, str) for each in given):
            problem = f"recall {self._name!r} was given a {kind_of(key)} with a {kind_of(text)}"
            raise Misused(problem, remedy="Give a key and a text, both str, and metadata as a dict")
        plain = to_plain(dict(metadata or {}), what=f"metadata of {key!r:.80} in {self._name!r}")
        return key, [text, plain]

    def _check_model(self, handle: Mapping) -> None:
        """Raise `Misused` unless the compartment's vectors, if it has any, are of this model."""
        told, ours = self._told(handle), (self._embedder.model, self._embedder.dimensions)
        if told is not None and told != ours:
            problem = (
                f"compartment {self._name!r} holds vectors of {told[0]} ({told[1]} dimensions), "
                f"not of {ours[0]} ({ours[1]})"
            )
            remedy = f"Use {told[0]}, or embed all texts anew: await recall.rebuild()"
            raise Misused(problem, remedy=remedy)

    def _told(self, handle: Mapping) -> tuple[str, int] | None:
        """Return whose vectors these are, None while there are none. Raises `Misused` for another mapping."""
        match handle.get(_MODEL):
            case [str(kind), str(model), int(dimensions)] if kind == _KIND:
                return model, dimensions
            case None if not len(handle):
                return None
        problem = f"compartment {self._name!r} holds something else than texts to recall"
        raise Misused(problem, remedy="Declare a mapping of its own for them")

    @property
    def _handle(self) -> Mapping:
        handle = self._working.open(self._name, Form.MAPPING)
        assert isinstance(handle, Mapping)
        return handle


def vectors_of(handle: Mapping) -> list[tuple[str, bytes]]:
    """Return the (key, vector) of all texts in a mapping, in the order of the keys."""
    found = [(key[len(_VECTORS) :], vector) for key, vector in handle.items(_VECTORS)]
    for key, vector in found:
        if not isinstance(vector, bytes):
            problem = f"{key!a:.80} has a {kind_of(vector)} where its vector belongs"
            raise Rejected(problem, reason="bad-field", where="recall")
    return found


def _ranked(query: bytes, vectors: list[tuple[str, bytes]]) -> list[tuple[str, int]]:
    """Return (key, score), the best first; what is equal stays in the order of the keys."""
    found = scores(query, [vector for _, vector in vectors])
    order = sorted(range(len(found)), key=lambda at: -found[at])
    return [(vectors[at][0], found[at]) for at in order]


def _hit(handle: Mapping, key: str, score: float) -> Hit:
    note = handle.get(_TEXTS + key)
    if note is None:
        raise KeyError(key)
    return Hit(key, score, *parse_note(note))


def parse_note(plain: Any) -> tuple[str, dict[str, Any]]:
    """Return the text and the metadata that stand under a key. Raises `Rejected`."""
    match plain:
        case [str(text), dict(metadata)]:
            return text, metadata
    problem = f"a {kind_of(plain)} where a text and its metadata belong"
    raise Rejected(problem, reason="bad-field", where="recall")


def _allows(where: Where | None, metadata: dict[str, Any]) -> bool:
    if where is None:
        return True
    if isinstance(where, Dictionary):
        return all(name in metadata and metadata[name] == wanted for name, wanted in where.items())
    return bool(where(metadata))
