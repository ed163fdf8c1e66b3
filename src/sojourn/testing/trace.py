"""The trace of a run: a digest of every byte that was sent and every happening, and the last of them for people."""

import hashlib
import struct
from collections import deque
from typing import Final

from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.exchange import decode_reply, decode_request, decode_work
from sojourn.testing.facts import Happening
from sojourn.testing.timeline import Timeline
from sojourn.transports.frames import ERROR, NOTICE, REPLY, REQUEST, Frame, FrameReader, Unfit

__all__ = ["Trace"]

_KEPT_MAX: Final = 4_000
_BODY_BYTES_MAX: Final = 64 * 1024 * 1024
_HEAD: Final = struct.Struct(">QHH")
_DECODERS: Final = {REQUEST: decode_request, REPLY: decode_reply, NOTICE: decode_work}
_IDLE: Final = frozenset({"Exchange", "Exchanged", "Heartbeat", "HeartbeatReply", "Tell"})
"""What is said whether or not anything happens."""
_ARROWS: Final = {REQUEST: "asks", REPLY: "answers", NOTICE: "tells", ERROR: "refuses"}


class Trace:
    """Takes down what happens, as it happens."""

    def __init__(self, timeline: Timeline) -> None:
        """Begin with nothing."""
        self._timeline = timeline
        self._hash = hashlib.blake2b(digest_size=16)
        self._names: dict[str, int] = {}
        self._sent: deque[tuple[float, str, str, bytes]] = deque(maxlen=_KEPT_MAX)
        self.happenings: list[Happening] = []
        self.messages = 0

    @property
    def digest(self) -> str:
        """What two runs have in common only if they were the same to the last bit."""
        return self._hash.hexdigest()

    def _number(self, name: str) -> int:
        number = self._names.get(name)
        if number is None:
            number = self._names[name] = len(self._names)
            self._hash.update(name.encode() + b"\0")
        return number

    def sent(self, source: str, target: str, data: bytes) -> None:
        """Take down that bytes were sent."""
        now_ns = self._timeline.now_ns
        self._hash.update(_HEAD.pack(now_ns, self._number(source), self._number(target)))
        self._hash.update(data)
        self._sent.append((now_ns / 1e6, source, target, data))
        self.messages += 1

    def note(self, process: str, what: str) -> None:
        """Take down a happening."""
        happening = Happening(at_ms=self._timeline.now_ms, process=process, what=what)
        self._hash.update(repr(happening).encode())
        self.happenings.append(happening)

    def transcript(self, lines: int = 40) -> str:
        """Return the last happenings and messages, so many of each, for people; gossip and heartbeats left out."""
        said: list[tuple[float, str]] = []
        for at_ms, source, target, data in reversed(self._sent):
            texts = reversed(_texts(data))
            said += [(at_ms, _line(at_ms, source, target, text)) for text in texts]
            if len(said) >= lines:
                break
        told = [(each.at_ms, str(each)) for each in self.happenings[-lines:]]
        return "\n".join(line for _, line in sorted([*told, *reversed(said)], key=_time))


def _time(line: tuple[float, str]) -> float:
    return line[0]


def _line(at_ms: float, source: str, target: str, text: str) -> str:
    return f"{at_ms / 1000:10.3f} s  {source:<14}  → {target:<14} {text}"


def _texts(data: bytes) -> list[str]:
    """Return what the frames of one write say. Only whole frames are written."""
    reader = FrameReader(_BODY_BYTES_MAX)
    reader.feed(data)
    texts = []
    try:
        while (frame := reader.next_frame()) is not None:
            kind, text = _text(frame)
            if kind not in _IDLE:
                texts.append(text)
    except Rejected:
        texts.append(f"{len(data)} bytes that are no frames")
    return texts


def _text(frame: Frame | Unfit) -> tuple[str, str]:
    """Return the kind of a frame's message, and a text that says it."""
    if isinstance(frame, Unfit):
        return "", "a frame that is unfit"
    verb = _ARROWS[frame.type]
    decoder = _DECODERS.get(frame.type)
    if decoder is None:
        return "", verb
    try:
        kind = type(decoder(frame.body)).__name__
    except Rejected:
        return "", f"{verb}: {len(frame.body)} bytes that make no sense"
    return kind, f"{verb}: {kind}"
