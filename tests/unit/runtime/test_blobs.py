"""`ctx.memory.blobs`: put, appended, streamed, read in part; and what cannot be."""

import pytest

from sojourn.core.agent.memory.blocks import NewBlocks, links
from sojourn.core.agent.memory.chunks import write
from sojourn.runtime.host_side.execution import How
from tests.unit.core.agent.memory.shelf import Shelf
from tests.unit.runtime.custody import Zone
from tests.unit.runtime.test_compartments import running

BYTES = """
        def some(length):
            return bytes(at * at >> 8 & 255 for at in range(999)) * (length // 999) + bytes(length % 999)
"""


def test_a_blob_is_put_and_read_in_part() -> None:
    ending = running(
        """
                import io, itertools
                blobs = ctx.memory.blobs("book")
                data = some(300_000)
                blob = blobs.put("a", data, media="text/plain")
                assert len(blob) == 300_000 and blob.media == "text/plain" and blob.read() == data
                blobs.put("b", io.BytesIO(data))
                blobs.put("c", (data[at:at + 7000] for at in range(0, 300_000, 7000)))
                assert all(blobs[key].read() == data for key in "abc")
                assert blobs["c"].read(65_530, 65_540) == data[65_530:65_540]
                assert [len(piece) for piece in blobs["b"].pieces(1)] == [65_535, 65_536, 65_536, 65_536, 37_856]
                assert list(blobs["b"].pieces(9, 9)) == [] and blobs["b"].read(400_000) == b""
                file = blobs["a"].file()
                assert file.seek(-5, io.SEEK_END) == 299_995 and file.read() == data[-5:]
                assert file.seek(70_000) and file.read(10) == data[70_000:70_010]
                ctx.memory["book"]["beside"] = 1
                assert list(blobs) == ["a", "b", "c"] and list(blobs.keys(start="b")) == ["b", "c"]
                assert "a" in blobs and blobs.get("z") is None
                del blobs["a"]
                assert blobs.put("empty", b"").read() == b"" and len(ctx.memory["book"]) == 4
                return "a" in blobs""",
        before=BYTES,
    )
    assert ending.result is False


def test_a_blob_grows_and_is_read_as_it_was_when_it_was_opened() -> None:
    zone = Zone()
    ending = running(
        """
                blobs = ctx.memory.blobs("book")
                for number in range(400):
                    blobs.append("log", (f"line {number}\\n" * 30).encode())
                before = blobs["log"]
                await self.peek({})
                blobs.append("log", [b"more", b"and more"])
                assert blobs["log"].read(len(before)) == b"moreand more"
                return [len(before), len(before.read())]""",
        zone,
    )
    assert ending.result[0] == ending.result[1] > 100_000
    sent = sum(len(data) for data in zone.drafts[0].blocks.values())
    assert sent < 2 * ending.result[0], "what it was on the way is not sent"


def test_a_stream_is_final_piece_by_piece_and_nothing_of_it_is_lost() -> None:
    zone = Zone()
    length = 20 * 1024 * 1024
    ending = running(
        f"""
                async def pieces():
                    for number in range(20):
                        if number % 9 == 0:
                            await self.peek({{}})
                        yield bytes([number]) * 2**20
                blob = await ctx.memory.blobs("book").stream("large", pieces(), media="x/y")
                assert len(blob) == {length} and blob.read(2**20 - 1, 2**20 + 1) == b"\\0\\1"
                return ctx.memory.blobs("book")["large"].media""",
        zone,
    )
    assert ending.result == "x/y"
    grown = [sum(map(len, draft.blocks.values())) for draft in zone.drafts]
    assert max(grown) < 10 * 1024 * 1024
    root = write(b"".join(bytes([n]) * 2**20 for n in range(20)), NewBlocks(Shelf()))
    held = zone.record.memory.compartments["book"].root
    (value,) = links(zone.stored[held])
    assert [root] == links(zone.stored[value])


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('blobs.put("a", "text")', "a blob was to be made of a str of 4 characters"),
        ('blobs.put("a", 3)', "a blob was to be made of a int"),
        ('blobs.put("a", [b"x", "y"])', "piece 1 of blob 'a' of compartment 'book' is a str of 1"),
        (
            'blobs.put("a", (bytes(2**20) for _ in range(33)))',
            "blob 'a' of compartment 'book' was to grow by more than 33554432 bytes at once",
        ),
        (
            'blobs.put("a", b"", media="x" * 200)',
            "the media type of blob 'a' of compartment 'book'",
        ),
        (
            'ctx.memory["book"]["a"] = 1; blobs["a"]',
            "'a' of compartment 'book' is no blob but a int",
        ),
        ('ctx.memory["book"]["a"] = 1; blobs.append("a", b"")', "'a' of compartment 'book' is no"),
        ('ctx.memory["book"]["a"] = 1; del blobs["a"]', "'a' of compartment 'book' is no blob"),
        ('ctx.memory.blobs("risk").put("a", b"")', "compartment 'risk' is a log and no mapping"),
        ('blobs.put(1, b"")', "not a key: 1"),
    ],
)
def test_what_cannot_be_is_said_plainly(body: str, problem: str) -> None:
    zone = Zone()
    ending = running(f'blobs = ctx.memory.blobs("book"); {body}', zone)
    assert ending.how is How.RAISED
    assert ending.text.startswith(f"Misused: {problem}")
    assert not any(len(data) > 20_000 for data in zone.stored.values()), "nothing was kept of it"
