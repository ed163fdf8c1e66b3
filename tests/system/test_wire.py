"""Every byte that reaches an anchor is hostile: bad ones are named and change nothing, and all else goes on.

Over real TLS, to the process of a real anchor. `BODIES` holds what a body can be, `wire_requests` what a
well-formed request can say that is not so, `PASSED_OVER` and `ENDING` what a frame can be.
"""

import asyncio
import struct
from collections.abc import Callable, Iterator
from itertools import chain

import pytest

from sojourn.core.base.encoding import encode, encode_block
from sojourn.core.base.errors import Rejected, SojournError, Unreachable
from sojourn.core.base.limits import MESSAGE_BYTES_MAX
from sojourn.core.protocol import exchange
from sojourn.core.protocol.messages import Applied, AskHead, Declined, Head
from sojourn.transports.frames import NOTICE, REPLY, REQUEST, header
from tests.conformance.spoiled import fields_of, written_map
from tests.system.wire_requests import NOBODY, REQUESTS
from tests.system.wire_scene import Scene, ask, raise_scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = raise_scene(tmp_path_factory.mktemp("wire"))
    try:
        yield made
    finally:
        made.ground.down()


# --- bodies -------------------------------------------------------------------------------------------


def a_step(scene: Scene) -> bytes:
    return encode(scene.propose())


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :]


def fields(scene: Scene) -> list[tuple[str, object]]:
    return list(fields_of(AskHead(agent=scene.head.record.agent_id)).items())


BODIES: dict[str, tuple[Callable[[Scene], bytes], str]] = {
    "nothing": (lambda s: b"", "truncated"),
    "half a request": (lambda s: a_step(s)[: len(a_step(s)) // 2], "truncated"),
    "all but a byte": (lambda s: a_step(s)[:-1], "truncated"),
    "a byte too many": (lambda s: a_step(s) + b"\0", "malformed"),
    "the same twice": (lambda s: a_step(s) * 2, "malformed"),
    "no DAG-CBOR": (lambda s: b"GET / HTTP/1.1\r\n\r\n", "malformed"),
    "a flipped bit in a name": (lambda s: flipped(a_step(s), 2), "bad-field"),
    "fields out of order": (lambda s: written_map(fields(s)[::-1]), "non-canonical"),
    "a field twice": (lambda s: written_map([fields(s)[0], *fields(s)]), "non-canonical"),
    "a length in two bytes": (lambda s: written_map(fields(s), b"\xb8\2"), "non-canonical"),
    "indefinite length": (lambda s: written_map(fields(s), b"\xbf", b"\xff"), "malformed"),
    "an unknown field": (lambda s: encode_block(dict(fields(s)) | {"x": 1}), "unknown-field"),
    "a field missing": (lambda s: encode_block({"kind": "ask-head"}), "bad-field"),
    "a digest too short": (
        lambda s: encode_block({"kind": "ask-head", "agent": bytes(31)}),
        "bad-field",
    ),
    "a negative number": (
        lambda s: encode_block({"kind": "ask-watermark", "anchor": -1}),
        "bad-field",
    ),
    "an unknown kind": (lambda s: encode_block({"kind": "self-destruct"}), "wrong-kind"),
    "no kind": (lambda s: encode_block({"agent": NOBODY}), "bad-field"),
    "a reply": (lambda s: encode(Applied()), "wrong-kind"),
    "a notice": (lambda s: encode(exchange.Work(items=())), "wrong-kind"),
    "a record": (lambda s: encode(s.head.record), "wrong-kind"),
    "a list": (lambda s: encode_block([1, 2, 3]), "bad-field"),
    "nested 100,000 deep": (lambda s: b"\x81" * 100_000 + b"\xf6", "bad-field"),
    "nested deep, inside a request": (
        lambda s: written_map([("kind", "ask-head")], b"\xa2", b"\x65agent" + b"\x81" * 5000),
        "truncated",
    ),
    "headers that promise petabytes": (lambda s: b"\x9a\0\0\1\0" * 100_000, "truncated"),
    "a string of exabytes": (lambda s: b"\x5b" + b"\x7f" * 8, "truncated"),
    "over the limit": (lambda s: bytes(MESSAGE_BYTES_MAX + 1), "too-large"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_bad_body_is_rejected_by_name_and_nothing_changes(scene: Scene, name: str) -> None:
    make, reason = BODIES[name]

    async def run() -> None:
        async with scene.connected() as connection:
            before = await scene.state(connection)
            ordinary = [connection.call(encode(exchange.AskStatus()), timeout_s=10) for _ in "123"]
            bad = connection.call(make(scene), timeout_s=10)
            said, *answers = await asyncio.gather(bad, *ordinary, return_exceptions=True)
            assert isinstance(said, Rejected)
            assert reason == said.reason, said
            assert all(isinstance(answer, bytes) for answer in answers)
            assert before == await scene.state(connection)

    asyncio.run(run())


def test_no_flipped_bit_of_a_step_gets_a_vote(scene: Scene) -> None:
    async def run() -> None:
        data = a_step(scene)
        async with scene.connected(scene.host) as connection:
            before = await scene.state(connection)
            for at in range(0, len(data), 7):
                try:
                    reply = await ask(connection, flipped(data, at))
                except Rejected:
                    continue
                assert isinstance(reply, Declined | Head), reply
            assert before == await scene.state(connection)

    asyncio.run(run())


# --- requests -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_is_not_so_is_declined_by_name_and_nothing_changes(
    scene: Scene, name: str
) -> None:
    make, reason = REQUESTS[name]

    async def run() -> None:
        async with scene.connected() as connection:
            before = await scene.state(connection)
            status = ask(connection, encode(exchange.AskStatus()))
            said, other = await asyncio.gather(ask(connection, encode(make(scene))), status)
            assert isinstance(said, Declined)
            assert reason == said.reason, said
            assert said.problem
            assert isinstance(other, exchange.AnchorStatus)
            assert before == await scene.state(connection)

    asyncio.run(run())


def test_what_was_decided_may_be_shown_again_in_any_order(scene: Scene) -> None:
    async def run() -> None:
        shows = [scene.show(known) for known in scene.past]
        async with scene.connected() as connection:
            before = await scene.state(connection)
            for show in chain(reversed(shows), shows, shows[1::2], shows[::2]):
                assert isinstance(await ask(connection, encode(show)), Applied)
            assert before == await scene.state(connection)

    asyncio.run(run())


# --- frames -------------------------------------------------------------------------------------------

STATUS = encode(exchange.AskStatus())


def frame(kind: int, correlation: int, body: bytes, version: int = 1) -> bytes:
    head = bytearray(header(kind, correlation, len(body)))
    head[4] = version
    return bytes(head) + body


PASSED_OVER: dict[str, tuple[bytes, str]] = {
    "an unknown type": (frame(9, 77, STATUS), "unknown-type"),
    "a reply to nothing": (frame(REPLY, 77, STATUS), "bad-correlation"),
    "a request without a number": (frame(REQUEST, 0, STATUS), "bad-correlation"),
    "a notice with a number": (frame(NOTICE, 77, STATUS), "bad-correlation"),
    "a body over the limit": (
        frame(REQUEST, 77, bytes(MESSAGE_BYTES_MAX + 1)),
        "too-large",
    ),
}
ENDING: dict[str, tuple[bytes, str]] = {
    "a later version of the format": (frame(REQUEST, 77, STATUS, version=2), "version 2"),
    "another protocol": (b"GET / HTTP/1.1\r\nHost: anchor\r\n\r\n", "unknown-version"),
    "a length less than a header's": (struct.pack(">IBBI", 3, 1, REQUEST, 77), "truncated"),
    "all ones": (b"\xff" * 64, "unknown-version"),
}


@pytest.mark.parametrize("name", PASSED_OVER)
def test_an_unfit_frame_is_refused_and_the_stream_goes_on(scene: Scene, name: str) -> None:
    data, reason = PASSED_OVER[name]

    async def run() -> None:
        async with scene.connected() as connection:
            before = await scene.state(connection)
            connection._stream.write(data)
            assert before == await scene.state(connection)
            assert reason in connection._complaint or reason == "too-large"

    asyncio.run(run())


@pytest.mark.parametrize("name", ENDING)
def test_a_stream_that_cannot_be_read_on_ends_by_name_and_no_other_with_it(
    scene: Scene, name: str
) -> None:
    data, said = ENDING[name]

    async def run() -> None:
        async with scene.connected() as honest, scene.connected() as connection:
            before = await scene.state(honest)
            connection._stream.write(data)
            await connection.wait_closed()
            with pytest.raises(Unreachable, match=said):
                await connection.call(STATUS, timeout_s=10)
            assert before == await scene.state(honest)

    asyncio.run(run())


def test_half_a_frame_holds_nobody_up(scene: Scene) -> None:
    async def run() -> None:
        async with scene.connected() as honest, scene.connected() as connection:
            before = await scene.state(honest)
            connection._stream.write(frame(REQUEST, 77, STATUS)[:-1])
            assert before == await scene.state(honest)
            connection._stream.abort()
            assert before == await scene.state(honest)

    asyncio.run(run())


def test_too_many_bad_frames_end_their_own_connection_alone(scene: Scene) -> None:
    async def run() -> None:
        async with scene.connected() as honest, scene.connected() as connection:
            before = await scene.state(honest)
            connection._stream.write(frame(9, 77, STATUS) * 20)
            await connection.wait_closed()
            with pytest.raises(SojournError, match="unknown-type"):
                await connection.call(STATUS, timeout_s=10)
            assert before == await scene.state(honest)

    asyncio.run(run())
