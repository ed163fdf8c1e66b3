"""What providers answer in their own protocols, as their public documentation states it.

Google: ai.google.dev/api/generate-content. Mistral: docs.mistral.ai/api. Cohere: docs.cohere.com/reference/chat.
Amazon: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html.
Microsoft: learn.microsoft.com/azure/foundry/openai. Ollama: docs.ollama.com/api/chat.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.unit.models.endpoint import said, streamed

__all__ = ["DIALECTS", "Dialect"]

Wanted = tuple[str, dict[str, Any]]
"""A tool that a model wants called, and with what."""


class Dialect(NamedTuple):
    """How a provider speaks. `result` finds in a request what came of a tool."""

    client: str  # what has to be installed
    path: str  # how it ends
    key: tuple[str, str]  # a header, and what it says of the key
    most: Callable[[Any], Any]  # finds in a request how long the answer may be
    message: Callable[[str | Wanted, tuple[int, int]], Any]
    pieces: Callable[[list[Any], tuple[int, int]], list[Any]] | None
    result: Callable[[Any], str]
    problem: Callable[[int, str], Any]
    hints: dict[int, dict[str, str]] = {}  # headers of answers that are none


def _gemini(what: str | Wanted, used: tuple[int, int]) -> Any:
    part: Any = {"text": what}
    if not isinstance(what, str):
        call = {"name": what[0], "args": what[1]}
        part = {"functionCall": call, "thoughtSignature": "c2lnbmVk"}
    return {
        "candidates": [
            {"content": {"parts": [part], "role": "model"}, "finishReason": "STOP", "index": 0}
        ],
        "usageMetadata": {
            "promptTokenCount": used[0],
            "candidatesTokenCount": used[1],
            "totalTokenCount": sum(used),
        },
        "modelVersion": "tiny-001",
        "responseId": "x",
    }


def _gemini_pieces(pieces: list[Any], used: tuple[int, int]) -> list[Any]:
    events = [_gemini(each, used) if isinstance(each, str | tuple) else each for each in pieces]
    for event in events[:-1]:
        if isinstance(event, dict):
            del event["candidates"][0]["finishReason"]
    return events


def _gemini_problem(status: int, text: str) -> Any:
    named = {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED"}[status]
    return {"error": {"code": status, "message": text, "status": named}}


def _openai(what: str | Wanted, used: tuple[int, int]) -> Any:
    if isinstance(what, str):
        return said(what, used=used)
    return said("", tools=[(what[0], json.dumps(what[1]))], used=used)


def _openai_pieces(pieces: list[Any], used: tuple[int, int]) -> list[Any]:
    whole = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "tiny-1"}
    events = list(pieces)
    wanted = [(at, each) for at, each in enumerate(pieces) if isinstance(each, tuple)]
    for index, (at, (name, given)) in enumerate(wanted):
        function = {"name": name, "arguments": json.dumps(given)}
        call = {"index": index, "id": f"c{index}", "type": "function", "function": function}
        delta = {"role": "assistant", "content": "", "tool_calls": [call]}
        events[at] = {**whole, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    return [*streamed(*events, used=used), b"data: [DONE]\n\n"]


def _cohere(what: str | Wanted, used: tuple[int, int]) -> Any:
    message: Any = {"role": "assistant"}
    if isinstance(what, str):
        message["content"] = [{"type": "text", "text": what}]
    else:
        function = {"name": what[0], "arguments": json.dumps(what[1])}
        message["tool_plan"] = "I look."
        message["tool_calls"] = [{"id": "c0", "type": "function", "function": function}]
    return {
        "id": "x",
        "finish_reason": "COMPLETE" if isinstance(what, str) else "TOOL_CALL",
        "message": message,
        "usage": _cohere_usage(used),
    }


def _cohere_usage(used: tuple[int, int]) -> Any:
    tokens = {"input_tokens": used[0], "output_tokens": used[1]}
    return {"billed_units": tokens, "tokens": tokens}


def _cohere_pieces(pieces: list[Any], used: tuple[int, int]) -> list[Any]:
    empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
    opened = {"message": {"content": {"type": "text", "text": ""}}}
    events: list[Any] = [
        {"type": "message-start", "id": "x", "delta": {"message": empty}},
        {"type": "content-start", "index": 0, "delta": opened},
    ]
    for at, each in enumerate(pieces):
        delta = {"message": {"content": {"text": each}}}
        event = {"type": "content-delta", "index": 0, "delta": delta}
        if isinstance(each, tuple):
            events += _cohere_call(at, each)
        else:
            events.append(event if isinstance(each, str) else each)
    ended = {"finish_reason": "COMPLETE", "usage": _cohere_usage(used)}
    return [
        *events,
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": ended},
        b"data: [DONE]\n\n",
    ]


def _cohere_call(index: int, wanted: Wanted) -> list[Any]:
    function = {"name": wanted[0], "arguments": ""}
    begun = {"id": f"c{index}", "type": "function", "function": function}
    more = {"function": {"arguments": json.dumps(wanted[1])}}
    return [
        {"type": f"tool-call-{what}", "index": index, "delta": {"message": {"tool_calls": calls}}}
        for what, calls in (("start", begun), ("delta", more), ("end", {}))
    ]


def _bedrock(what: str | Wanted, used: tuple[int, int]) -> Any:
    block: Any = {"text": what}
    if not isinstance(what, str):
        block = {"toolUse": {"toolUseId": "c0", "name": what[0], "input": what[1]}}
    return {
        "output": {"message": {"role": "assistant", "content": [block]}},
        "stopReason": "end_turn" if isinstance(what, str) else "tool_use",
        "usage": {"inputTokens": used[0], "outputTokens": used[1], "totalTokens": sum(used)},
        "metrics": {"latencyMs": 1},
    }


def _ollama(what: str | Wanted, used: tuple[int, int]) -> Any:
    message: Any = {"role": "assistant", "content": what}
    if not isinstance(what, str):
        function = {"name": what[0], "arguments": what[1]}
        message |= {"content": "", "tool_calls": [{"function": function}]}
    return {
        "model": "tiny",
        "created_at": "2026-01-02T03:04:05.678901Z",
        "message": message,
        "done": True,
        "done_reason": "stop",
        "total_duration": 1,
        "load_duration": 1,
        "prompt_eval_count": used[0],
        "prompt_eval_duration": 1,
        "eval_count": used[1],
        "eval_duration": 1,
    }


def _ollama_pieces(pieces: list[Any], used: tuple[int, int]) -> list[Any]:
    """Return lines of JSON, of which the last has no text."""
    whole = _ollama("", used)
    part = {"model": "tiny", "created_at": whole["created_at"], "done": False}
    lines = [
        _line({**part, "message": _ollama(each, used)["message"]})
        if isinstance(each, str | tuple)
        else each
        for each in pieces
    ]
    return [*lines, _line(whole)]


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


DIALECTS = {
    "gemini": Dialect(
        client="google.genai",
        path="/models/tiny:generateContent",
        key=("x-goog-api-key", "{}"),
        most=lambda body: body["generationConfig"]["maxOutputTokens"],
        message=_gemini,
        pieces=_gemini_pieces,
        result=lambda body: str(body["contents"][-1]["parts"][0]["functionResponse"]["response"]),
        problem=_gemini_problem,
    ),
    "mistral": Dialect(
        client="mistralai",
        path="/v1/chat/completions",
        key=("authorization", "Bearer {}"),
        most=lambda body: body["max_tokens"],
        message=_openai,
        pieces=_openai_pieces,
        result=lambda body: str(body["messages"][-1]["content"]),
        problem=lambda status, text: {"object": "error", "message": text, "code": str(status)},
    ),
    "cohere": Dialect(
        client="cohere",
        path="/v2/chat",
        key=("authorization", "Bearer {}"),
        most=lambda body: body["max_tokens"],
        message=_cohere,
        pieces=_cohere_pieces,
        result=lambda body: str(body["messages"][-1]["content"]),
        problem=lambda _, text: {"id": "x", "message": text},
    ),
    "bedrock": Dialect(
        client="boto3",
        path="/model/tiny/converse",
        key=("authorization", "Bearer {}"),
        most=lambda body: body["inferenceConfig"]["maxTokens"],
        message=_bedrock,
        pieces=None,
        result=lambda body: str(body["messages"][-1]["content"][0]["toolResult"]["content"]),
        problem=lambda _, text: {"message": text},
        hints={
            401: {"x-amzn-errortype": "UnrecognizedClientException"},
            429: {"x-amzn-errortype": "ThrottlingException"},
        },
    ),
    "azureopenai": Dialect(
        client="openai",
        path="/openai/v1/chat/completions",
        key=("authorization", "Bearer {}"),
        most=lambda body: body.get("max_completion_tokens") or body["max_tokens"],
        message=_openai,
        pieces=_openai_pieces,
        result=lambda body: str(body["messages"][-1]["content"]),
        problem=lambda status, text: {"error": {"code": str(status), "message": text}},
    ),
    "ollama": Dialect(
        client="ollama",
        path="/api/chat",
        key=("authorization", "Bearer {}"),
        most=lambda body: body["options"]["num_predict"],
        message=_ollama,
        pieces=_ollama_pieces,
        result=lambda body: str(body["messages"][-1]["content"]),
        problem=lambda _, text: {"error": text},
    ),
}
