"""Requests: what a frame's body may ask of an anchor."""

from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.agent.inquiries import Answer, SignedAnswer
from sojourn.core.agent.orders import Act, Order
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import Value, digest_of, encode
from sojourn.core.base.limits import MESSAGE_BYTES_MAX
from sojourn.core.base.seals import Kind as SealKind
from sojourn.core.base.seals import Role
from sojourn.core.protocol import exchange, gossip
from sojourn.core.protocol.anchor import agent_of
from sojourn.core.protocol.binding import Claim, Heartbeat
from sojourn.core.protocol.messages import (
    Arrive,
    AskHead,
    AskRound,
    AskVisa,
    Propose,
    Request,
    ShowCommit,
    ShowLock,
)
from sojourn.core.protocol.ordering import sealed
from sojourn.core.protocol.progress import AskProgress, Progress, PutProgress, SignedProgress
from sojourn.core.quorum.fraud import Fraud
from sojourn.core.quorum.votes import Ballot, Phase
from tests.conformance import journey
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.journey import AGENT, AWAY, CHAPTERS, HOME, STEP, STEPPED, VISA
from tests.conformance.spoiled import fields_of, with_fields, written_map
from tests.samples import ISSUER, document, envelope, seal, successor

SLOT: Final = STEPPED.certificate.slot
PROPOSE: Final = Propose(slot=SLOT, round=0, proposal=STEP, blocks=(b"\xa0",))
HEAD: Final = AskHead(agent=AGENT)
AT: Final = "request"
_BALLOT: Final = Ballot(
    slot=SLOT, round=0, phase=Phase.LOCK, value=digest(b"x"), anchor=2, counter=7
)


def _check(data: bytes, given: Json) -> Json:
    request = exchange.decode_request(data)
    agent = agent_of(request).hex() if isinstance(request, Request) else None
    return {"asks": str(type(request).__struct_config__.tag), "agent": agent}


def _ruled() -> Iterator[tuple[str, Value]]:
    """Yield requests that anchors rule on."""
    lock = HOME.certificate(SLOT, STEP.transition.digest, phase=Phase.LOCK)
    yield "a proposal, with a block", PROPOSE
    yield "a lock", ShowLock(certificate=lock)
    yield "a lock, with its value", ShowLock(certificate=lock, proposal=STEP)
    yield "a decision", ShowCommit(certificate=STEPPED.certificate)
    yield "a round to leave", AskRound(slot=SLOT, round=0)
    yield (
        "an application",
        AskVisa(
            terms=VISA.terms,
            head=STEPPED,
            chapters=(digest_of(replace(CHAPTERS[0], closed=None)),),
            manifests=(HOME.signed,),
        ),
    )
    yield "an arrival", Arrive(departure=journey.GONE, visa=VISA)
    yield "the head", HEAD


def _others() -> Iterator[tuple[str, Value]]:
    """Yield requests that are answered without a ruling."""
    host = HOME.hosts[0].public
    claim = Claim(agent=AGENT, term=0, binding=1)
    yield "a heartbeat", Heartbeat(host=host, sequence=7, claims=(claim,))
    yield "blocks to store", exchange.PutBlocks(blocks=(b"\xa0", b"\x80"))
    yield "which blocks are missing", exchange.AskMissing(digests=(digest(b"\xa0"),))
    yield "blocks to send", exchange.AskBlocks(digests=(digest(b"\xa0"),))
    yield "the past", exchange.AskPast(agent=AGENT, from_version=1, limit=10)
    person = ISSUER
    said = Answer(
        agent=AGENT, inquiry=digest(b"?"), by=person.public, answered_ms=5, body=encode("yes")
    )
    sealing = seal(person, SealKind.ANSWER, Role.PERSON, digest_of(said))
    yield "an answer", exchange.PutMessage(message=SignedAnswer(answer=said, seal=sealing))
    told = Progress(agent=AGENT, term=0, binding=1, told_ms=7, text="half way", done=1, total=2)
    by_host = seal(HOME.hosts[0], SealKind.PROGRESS, Role.HOST, digest_of(told))
    yield "progress", PutProgress(told=SignedProgress(progress=told, seal=by_host))
    yield "how far it is", AskProgress(agent=AGENT)
    yield "work", exchange.AskWork(host=host)
    yield "agents", exchange.AskAgents()
    yield "how it is", exchange.AskStatus()
    yield (
        "what is news",
        gossip.Exchange(summary=gossip.Summary(zones=(HOME.zone,), envelopes=(), endorsements=())),
    )
    yield (
        "news",
        gossip.Tell(
            news=gossip.News(manifests=(AWAY.signed,), envelopes=(envelope(HOME, HOME.hosts[0]),))
        ),
    )
    suspend = sealed(Order(agent=AGENT, act=Act.SUSPEND, issued_ms=1, expires_ms=2), [ISSUER])
    yield "an order to tell on", gossip.Tell(news=gossip.News(orders=(suspend,)))
    following = successor(document())
    yield "a document to tell on", gossip.Tell(news=gossip.News(documents=(following,)))
    votes = tuple(HOME.vote(replace(_BALLOT, value=digest(said))) for said in (b"x", b"y"))
    proof = Fraud(one=votes[0], other=votes[1])
    yield "a proof to tell on", gossip.Tell(news=gossip.News(proofs=(proof,)))
    yield "votes that were given in vain", exchange.ShowVotes(votes=votes)
    yield "proofs", exchange.AskProofs(after=proof.culprit)


def _valid() -> Iterator[Case]:
    for name, request in [*_ruled(), *_others()]:
        yield Case(name=name, data=encode(request))


def _misread() -> Iterator[tuple[str, bytes, str, str]]:
    slot, proposal = fields_of(SLOT), fields_of(STEP)
    yield (
        "a request there is none of",
        with_fields(HEAD, {"kind": "ask-favour"}),
        "wrong-kind",
        ".kind",
    )
    yield "a reply", with_fields(HEAD, {"kind": "head"}), "wrong-kind", ".kind"
    no_kind = {name: part for name, part in fields_of(HEAD).items() if name != "kind"}
    yield "no kind", written_map(list(no_kind.items())), "bad-field", ""
    yield "an agent of 31 bytes", with_fields(HEAD, {"agent": bytes(31)}), "bad-field", ".agent"
    yield "one field more", with_fields(HEAD, {"please": True}), "unknown-field", ""
    yield "a round below zero", with_fields(PROPOSE, {"round": -1}), "bad-field", ".round"
    yield "a round of 2^63", with_fields(PROPOSE, {"round": 2**63}), "bad-field", ".round"
    lottery = {"slot": slot | {"kind": "lottery"}}
    yield "a slot of an unknown kind", with_fields(PROPOSE, lottery), "bad-field", ".slot.kind"
    later = {"proposal": proposal | {"kind": "proposal/2"}}
    yield (
        "a proposal of a later version",
        with_fields(PROPOSE, later),
        "wrong-kind",
        ".proposal.kind",
    )
    many: dict[str, Any] = {"blocks": [b""] * 4097}
    yield "4097 blocks", with_fields(PROPOSE, many), "bad-field", ".blocks"
    yield "a block that is text", with_fields(PROPOSE, {"blocks": ["text"]}), "non-canonical", ""


def _invalid() -> Iterator[Case]:
    for name, data, reason, where in _misread():
        expect = {"reason": reason, "where": f"{AT}{where}"}
        yield Case(name=name, data=data, expect=expect)
    data, items = encode(PROPOSE), list(fields_of(PROPOSE).items())
    for name, spoilt, reason in (
        ("nothing", b"", "truncated"),
        ("cut in half", data[: len(data) // 2], "truncated"),
        ("cut by one byte", data[:-1], "truncated"),
        ("one byte too many", data + b"\0", "malformed"),
        ("two requests", encode(HEAD) * 2, "malformed"),
        ("fields out of order", written_map(items[::-1]), "non-canonical"),
        ("a field twice", written_map([items[0], *items]), "non-canonical"),
        (
            "no blocks, which has a default",
            written_map([i for i in items if i[0] != "blocks"]),
            "non-canonical",
        ),
        ("a number", b"\0", "bad-field"),
    ):
        yield Case(name=name, data=spoilt, expect={"reason": reason, "where": AT})
    for name, pieces, reason in (
        ("one byte larger than the limit", [(b"\0", MESSAGE_BYTES_MAX + 1)], "too-large"),
        ("nested too deeply", [(b"\x81", MESSAGE_BYTES_MAX - 1), (b"\xf6", 1)], "bad-field"),
        ("headers that promise more than there is", [(b"\x9a\0\0\1\0", 100_000)], "truncated"),
    ):
        yield Case(name=name, data=pieces, expect={"reason": reason})


KIND = Kind(
    name="request",
    about="bytes: the body of a frame that asks an anchor for something. expect.asks: what for; expect.agent: "
    "the agent it is about, if anchors rule on it: requests about one agent are ruled on one after the "
    "other. Whether a request is granted is judged elsewhere: this is what can be read at all.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
)
