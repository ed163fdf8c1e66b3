"""Calls in the protocols of many providers, by the real libraries to servers on loopback that speak them."""

import asyncio
import json
import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sojourn.models.clients import ask
from sojourn.models.prices import Prices
from sojourn.models.replies import Messages, Reply, spoken
from sojourn.models.settings import Protocol, Settings
from sojourn.runtime.errors import RetryableError, TerminalError
from tests.unit.models.dialects import DIALECTS, Dialect
from tests.unit.models.endpoint import BREAK, Answer, Endpoint, endpoint, said, streamed
from tests.unit.models.test_native import KEY, execute
from tests.unit.runtime.custody import Zone, first_record
from tests.unit.transports.certificates import certificate, ed25519_key

pytest.importorskip("any_llm")


class Speaks(NamedTuple):
    """A provider whose client is installed here, and how a server is it."""

    provider: str
    dialect: Dialect
    endpoint: Callable[..., AbstractContextManager[Endpoint]]


@pytest.fixture(params=DIALECTS)
def of(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Speaks:
    """Return one provider after another. What the host has in its surroundings is no agent's to use."""
    dialect = DIALECTS[request.param]
    pytest.importorskip(dialect.client)
    monkeypatch.setenv("OLLAMA_API_KEY", "of-the-host")
    if request.param != "bedrock":
        return Speaks(request.param, dialect, endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certified(tmp_path))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "server.pem"))
    return Speaks(request.param, dialect, partial(endpoint, tls=context))


def certified(folder: Path) -> Path:
    """Return a file with a key and a certificate of this machine."""
    key = ed25519_key()
    here = x509.IPAddress(ip_address("127.0.0.1"))
    made = certificate(key, names=(here,), is_authority=True)
    path = folder / "server.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + made.public_bytes(Encoding.PEM))
    return path


def asked(
    server: Endpoint,
    provider: str,
    hear: Any = None,
    *,
    protocol: Protocol = "native",
    messages: Messages = "2+2?",
) -> Reply:
    """Call a model once, without a runtime."""
    settings = Settings(
        model="tiny",
        provider=provider,
        protocol=protocol,
        base_url=server.url.removesuffix("/v1"),
        secret="",
        output_tokens=50,
        temperature=0.5,
        prices=Prices(0, 0),
        timeout_s=5.0,
    )
    return asyncio.run(ask(settings, spoken(messages), (), key=KEY, effect_key="e", hear=hear))


def problem(dialect: Dialect, status: int, text: str, **more: str) -> Answer:
    return status, dialect.problem(status, text), {**dialect.hints.get(status, {}), **more}


def test_a_call_is_priced_keyed_and_bounded_and_a_tool_is_a_step(of: Speaks) -> None:
    zone = Zone(record=first_record({}, {"tokens": 10_000, "cost_micros": 10_000}))
    wants = of.dialect.message(("balance", {"account": "a"}), (9, 2))
    run = """reply = await converse(self, Desk.think, 'how much?', [Desk.balance])
            return [reply.text, reply.cost_micros, reply.finish]"""
    with of.endpoint((200, wants), (200, of.dialect.message("you have 7", (20, 3)))) as server:
        ending = execute(server, run, zone, of.provider, "tiny")
    assert ["you have 7", 20 + 3 * 2, "stop"] == ending.result, ending
    assert all(each.split("?")[0].endswith(of.dialect.path) for each in server.paths)
    (headers, body), (_, told) = server.asked
    name, form = of.dialect.key
    assert form.format(KEY) == headers[name]
    if of.provider == "azureopenai":  # no other client here can send it
        assert zone.intents[0].key == headers["idempotency-key"]
    assert 50 == of.dialect.most(body)
    assert "account" in str(body) and "Return what is on an account." in str(body)
    assert "7" in of.dialect.result(told)
    assert ["model.call", "ledger.read", "model.call"] == [each.action for each in zone.intents]


def test_an_answer_is_heard_piece_by_piece(of: Speaks) -> None:
    heard: list[str] = []
    pieces = ["one ", "two ", "three"]
    if of.dialect.pieces is None:  # its client would hold up the host while it waits
        answer: Any = of.dialect.message("one two three", (9, 4))
        pieces = ["one two three"]
    else:
        answer = of.dialect.pieces(list(pieces), (9, 4))
    with of.endpoint((200, answer)) as server:
        reply = asked(server, of.provider, heard.append)
    assert ("one two three", 9, 4) == (reply.text, reply.input_tokens, reply.output_tokens)
    assert pieces == [each for each in heard if each]


def test_tools_are_wanted_piece_by_piece(of: Speaks) -> None:
    if of.dialect.pieces is None:
        pytest.skip("it is not heard piece by piece")
    wanted = [("balance", {"account": each}) for each in "ab"]
    with of.endpoint((200, of.dialect.pieces(["I look", *wanted], (9, 4)))) as server:
        reply = asked(server, of.provider, lambda _: None)
    calls = [(each.name, json.loads(each.arguments)) for each in reply.tool_calls]
    assert (wanted, "I look") == (calls, reply.text)
    assert 2 == len({each.id for each in reply.tool_calls})


def test_an_answer_that_breaks_off_may_be_asked_for_again(of: Speaks) -> None:
    if of.dialect.pieces is None:
        pytest.skip("it is not heard piece by piece")
    answer = of.dialect.pieces(["one ", BREAK, "two"], (9, 4))
    with of.endpoint((200, answer)) as server, pytest.raises(RetryableError):
        asked(server, of.provider, lambda _: None)


def test_a_busy_provider_says_when_to_ask_again_and_its_client_does_not(of: Speaks) -> None:
    busy = problem(of.dialect, 429, "slow down", **{"retry-after": "7"})
    with of.endpoint(busy) as server, pytest.raises(RetryableError, match="slow down") as caught:
        asked(server, of.provider)
    assert (1, 7.0) == (len(server.asked), caught.value.after_s)
    down = 503, {"message": "down"}, {"retry-after": "8"}
    with of.endpoint(down) as server, pytest.raises(RetryableError) as caught:
        asked(server, of.provider)
    assert (1, 8.0) == (len(server.asked), caught.value.after_s)


def test_a_wrong_key_ends_the_run_and_is_in_no_text(of: Speaks) -> None:
    with of.endpoint(problem(of.dialect, 401, f"no such key {KEY}")) as server:
        ending = execute(server, "await self.think('x')", Zone(), of.provider, "tiny")
    assert 1 == len(server.asked)
    assert f"401 from {of.provider}" in ending.text and "no such key [secret vendor]" in ending.text


@pytest.mark.parametrize("body", [b"<html>", b"", {}, [1], b'{"choices": [{"index":'])
def test_an_answer_that_nobody_can_read_is_no_crash(of: Speaks, body: Any) -> None:
    whole = b"[1]" if isinstance(body, list) else body
    with of.endpoint((200, whole)) as server, pytest.raises(RetryableError, match=of.provider):
        asked(server, of.provider)
    assert 1 == len(server.asked)


def test_a_wrong_request_is_not_made_again(of: Speaks) -> None:
    hints = {"x-amzn-errortype": "ValidationException"} if of.provider == "bedrock" else {}
    refused = 400, of.dialect.problem(401, "too long"), hints
    with of.endpoint(refused) as server, pytest.raises(TerminalError, match="too long"):
        asked(server, of.provider)
    assert 1 == len(server.asked)


def test_tool_arguments_that_are_no_object_are_told_to_the_model_readably(of: Speaks) -> None:
    deep = '{"account": ' + "[" * 100_000
    calls = [
        {"id": f"c{at}", "type": "function", "function": {"name": "balance", "arguments": each}}
        for at, each in enumerate(['{"account": "a"}', '{"acc', "7", "\ud800", deep])
    ]
    told = [{"role": "tool", "tool_call_id": call["id"], "content": "no"} for call in calls]
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "", "tool_calls": calls},
        *told,
    ]
    with of.endpoint((200, of.dialect.message("sorry", (1, 1)))) as server:
        assert "sorry" == asked(server, of.provider, messages=messages).text
    sent = str(server.asked[0][1])
    assert 4 == sent.count("unreadable") and "account" in sent


BROKEN = [
    *(b"<html>", b"", b"[1]", b'{"choices": [{"index":', {"choices": [{}]}),
    {"choices": [{"message": {"content": "x", "tool_calls": [{}]}}]},
    {"choices": [{"message": {"content": 5}}]},
]


@pytest.mark.parametrize(
    "body", [*BROKEN, *([each] for each in (b"data: {\n\n", b"data: [1]\n\n"))]
)
def test_an_unreadable_answer_in_openais_protocol_is_no_crash(
    body: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hear = (lambda _: None) if isinstance(body, list) else None
    with endpoint((200, body)) as server, pytest.raises(RetryableError, match="can read"):
        asked(server, "local", hear, protocol="openai")
    assert 1 == len(server.asked)
    left = [each.getMessage() for each in caplog.records if each.name == "asyncio"]
    assert [] == left  # a stream that nobody closed


@pytest.mark.parametrize("number", [-5, "many", None, 2**70])
def test_a_use_that_cannot_be_is_none(number: Any) -> None:
    for body in (said("four", used=(9, 2)), streamed("four", used=(9, 2))):
        usage = (body[-1] if isinstance(body, list) else body)["usage"]
        usage |= {"prompt_tokens": number, "total_tokens": 2}
        hear = (lambda _: None) if isinstance(body, list) else None
        with endpoint((200, body)) as server:
            reply = asked(server, "local", hear, protocol="openai")
        assert ("four", 0, 2) == (reply.text, reply.input_tokens, reply.output_tokens)


def test_a_client_is_closed_once_it_has_answered_or_refused(
    of: Speaks, monkeypatch: pytest.MonkeyPatch
) -> None:
    if of.provider == "bedrock":
        pytest.skip("its connections are none of the event loop's")
    made: list[Any] = []
    for name in ("httpx", "httpx2"):  # clients use one or the other
        with suppress(ImportError):
            form = import_module(name).AsyncClient
            monkeypatch.setattr(form, "__init__", noting(form.__init__, made))
    with of.endpoint((200, of.dialect.message("four", (9, 2)))) as server:
        asked(server, of.provider)
    with of.endpoint((500, {})) as server, pytest.raises(RetryableError):
        asked(server, of.provider)
    assert len(made) > 1 and all(each.is_closed for each in made), made


def noting(init: Callable[..., None], made: list[Any]) -> Callable[..., None]:
    """Return a constructor that tells what it makes."""

    def noted(self: Any, *args: Any, **kwargs: Any) -> None:
        made.append(self)
        init(self, *args, **kwargs)

    return noted
