"""A server on loopback that speaks OpenAI's protocol: it answers what a test gives it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Endpoint", "endpoint", "said"]


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


@dataclass
class Endpoint:
    """What it was asked, and what it answers: statuses and bodies in turn, the last one for ever."""

    answers: list[tuple[int, Any]]
    url: str = ""
    asked: list[tuple[dict[str, str], Any]] = field(default_factory=list)


@contextmanager
def endpoint(*answers: tuple[int, Any]) -> Iterator[Endpoint]:
    """Serve answers for as long as the block lasts."""
    made = Endpoint(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, answer = made.answers[min(len(made.asked), len(made.answers) - 1)]
            made.asked.append(({k.lower(): v for k, v in self.headers.items()}, body))
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
