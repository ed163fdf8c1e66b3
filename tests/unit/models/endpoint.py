"""A server on loopback that speaks OpenAI's protocol, and Anthropic's: it answers what a test gives it.

An answer is a status and a body; or a status and a list of events, which are streamed one by one; and headers, if
there are any. What can be called among events is called, in its turn: a test lets the server wait there, or break
off. Bytes are sent as they are.
"""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

__all__ = [
    "BREAK",
    "Answer",
    "Endpoint",
    "endpoint",
    "message",
    "message_events",
    "said",
    "streamed",
]

BREAK: Any = object()
"""Among events: the connection ends here."""


def said(text: str, *, tools: list[tuple[str, str]] | None = None, used: tuple[int, int]) -> Any:
    """Return the body of an answer."""
    calls = [
        {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": given}}
        for at, (name, given) in enumerate(tools or [])
    ]
    message = {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "tiny-1",
        "choices": [
            {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
        ],
        "usage": {
            "prompt_tokens": used[0],
            "completion_tokens": used[1],
            "total_tokens": sum(used),
        },
    }


def streamed(*pieces: Any, used: tuple[int, int] = (1, 1)) -> list[Any]:
    """Return the events of an answer in OpenAI's protocol; what is no text among the pieces stays what it is."""
    whole = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "tiny-1"}
    empty = {"index": 0, "delta": {}, "finish_reason": None}
    events = [
        {**whole, "choices": [{**empty, "delta": {"content": each}}]}
        if isinstance(each, str)
        else each
        for each in pieces
    ]
    usage = {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": sum(used)}
    last = [{**whole, "choices": [{**empty, "finish_reason": "stop"}]}]
    return [*events, *last, {**whole, "choices": [], "usage": usage}]


def message(*blocks: Any, used: tuple[int, int]) -> Any:
    """Return the body of an answer in Anthropic's protocol: texts, and tools as (name, arguments)."""
    content = [
        {"type": "text", "text": each}
        if isinstance(each, str)
        else {"type": "tool_use", "id": f"t{at}", "name": each[0], "input": each[1]}
        for at, each in enumerate(blocks)
    ]
    is_tool = any(each["type"] == "tool_use" for each in content)
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-tiny-1",
        "content": content,
        "stop_reason": "tool_use" if is_tool else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": used[0], "output_tokens": used[1]},
    }


def message_events(*pieces: Any, used: tuple[int, int]) -> list[Any]:
    """Return the events of an answer in Anthropic's protocol."""
    begun = {**message(used=(used[0], 0)), "stop_reason": None}
    events: list[Any] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    for each in pieces:
        delta = {"type": "text_delta", "text": each}
        event = {"type": "content_block_delta", "index": 0, "delta": delta}
        events.append(event if isinstance(each, str) else each)
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        *events,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": used[1]}},
        {"type": "message_stop"},
    ]


def _spelled(event: Any) -> bytes:
    if isinstance(event, bytes):
        return event
    named = f"event: {event['type']}\n" if "type" in event else ""
    return f"{named}data: {json.dumps(event)}\n\n".encode()


Answer: TypeAlias = tuple[int, Any] | tuple[int, Any, dict[str, str]]


@dataclass
class Endpoint:
    """What it was asked, and what it answers: statuses and bodies in turn, the last one for ever."""

    answers: list[Answer]
    url: str = ""
    asked: list[tuple[dict[str, str], Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@contextmanager
def endpoint(*answers: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Endpoint]:
    """Serve answers for as long as the block lasts, over TLS where the client speaks nothing else."""
    made = Endpoint(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, answer, *more = made.answers[min(len(made.asked), len(made.answers) - 1)]
            made.paths.append(self.path)
            made.asked.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(status)
            for name, value in more[0].items() if more else ():
                self.send_header(name, value)
            if isinstance(answer, list):
                self._stream(answer)
                return
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _stream(self, events: list[Any]) -> None:
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for event in events:
                if event is BREAK:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                if callable(event):
                    event()
                    continue
                try:
                    self.wfile.write(_spelled(event))
                    self.wfile.flush()
                except OSError:  # who asked is gone
                    return

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if tls is not None:
        scheme = "https"
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    made.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
