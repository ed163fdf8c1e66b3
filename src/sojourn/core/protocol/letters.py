"""Letters: messages between agents, each of which proves who sent it (protocol §10.7, §10.26).

An agent sends by an intent, like any effect: the action "message", about another agent. The certified INTEND is
the letter's authority, and the digest of the intent its identity: whoever carries it, sealed by whichever quorum, it
is one letter. That the zone which certified it had the agent at all is proved by the agent's chain of custody, as for
a visa; the agent's own zone needs no such proof.

    intent ─► names the receiver (`counterpart`), the digest of what is said (`arguments`), and the letter before it
    final ──► certified: its record names the intent
    chapters, manifests ─► the zone that certified it had custody of the sender
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Final

from msgspec import Meta

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import cid_text, digest
from sojourn.core.base.encoding import Count, Digest, Text, Value, decode, digest_of
from sojourn.core.base.errors import Refused, Rejected
from sojourn.core.base.limits import BODY_BYTES_MAX, CHAPTERS_MAX, LABELS_MAX, WAITING_MAX
from sojourn.core.protocol.chains import check_onward
from sojourn.core.protocol.custody import Certified, Chapter, check_head
from sojourn.core.protocol.dossier import View
from sojourn.core.protocol.messages import Intent
from sojourn.core.protocol.missing import Missing
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest

__all__ = [
    "MESSAGE",
    "AgentEnded",
    "Crowded",
    "Letter",
    "NeverHeld",
    "Said",
    "check_held",
    "check_letter",
    "effect_key",
    "read_said",
]

MESSAGE: Final = "message"
"""The action that an agent's message to another is, for policies: standard, with `counterpart` the receiver."""


class AgentEnded(Refused):
    """The agent written to has retired or was revoked: nothing is kept for it any more."""

    code = "ended"


class NeverHeld(Refused):
    """This zone has never held the agent written to, as far as this anchor knows."""

    code = "never-held"


class Crowded(Refused):
    """As many messages wait for the agent written to as are kept for one."""

    code = "crowded"


class Said(Value):
    """What one agent says to another. `key` is the sender's own: what comes under one is taken once; "" is none.

    One that `asks` waits for an answer until then (milliseconds since 1970; 0 if it does not), and names the agents
    that wait for it in turn, first to last, as far as it knows. An answer names the letter that it `answers`, by its
    effect key, and holds as long as that one asks.
    """

    to: Digest
    value: Any
    key: Text = ""
    asks: Count = 0
    waiting: Annotated[tuple[Digest, ...], Meta(max_length=WAITING_MAX)] = ()
    answers: Text = ""


class Letter(Value, dict=True, tag_field="kind", tag="letter/1"):
    """A message from an agent. `spelled` are the bytes of what it says, as the call of its code was spelled.

    `chapters` and `manifests` prove that the zone of `final` had the sender. To that zone itself they need not be
    shown, and they are no part of what the letter is.
    """

    intent: Intent
    final: Certified
    spelled: bytes
    chapters: Annotated[tuple[Digest, ...], Meta(max_length=CHAPTERS_MAX)] = ()
    manifests: Annotated[tuple[SignedManifest, ...], Meta(max_length=256)] = ()

    @cached_property
    def digest(self) -> bytes:
        """What the receiver counts as one message: the intent, whose key no other has."""
        return digest_of(self.intent)

    @cached_property
    def said(self) -> Said:
        """What it says. Raises `Rejected`."""
        return read_said(self.spelled)

    @property
    def agent(self) -> bytes:
        """The agent that it is for."""
        return self.said.to

    @property
    def sender(self) -> bytes:
        """The agent that sent it."""
        return self.final.record.agent_id

    @property
    def zone(self) -> bytes:
        """The zone where its sender was."""
        return self.final.certificate.slot.group

    @property
    def version(self) -> int:
        """The sender's version that sent it: of two letters of one agent the higher is the later."""
        return self.final.record.version

    @property
    def sent_ms(self) -> int:
        """When it was sent, as its sender's host says (milliseconds since 1970)."""
        return self.final.transition.at_ms

    def check(self, action: str = MESSAGE, *, where: str = "message") -> None:
        """Raise `Rejected` unless it says what the certified intent, of this action, names.

        Who certified that is not looked at.
        """
        said, intent, record = self.said, self.intent, self.final.record
        if digest(self.spelled) != intent.arguments:
            problem = "the intent is to say something else"
            raise Rejected(problem, reason="wrong-value", where=f"{where}.spelled")
        if (intent.action, intent.counterpart) != (action, cid_text(said.to)):
            problem = f"the intent is {intent.action!r} about {intent.counterpart[:64]!r}"
            raise Rejected(problem, reason="wrong-agent", where=f"{where}.intent")
        kind, named = self.final.transition.kind, record.eligibility.last_decision
        if kind is not TransitionKind.INTEND or named != self.digest:
            problem = f"the {kind} that is shown names another intent"
            raise Rejected(problem, reason="no-intent", where=f"{where}.final")
        if intent.key != effect_key(record.agent_id, record.custody.term, record.version):
            problem = f"the intent has the key {intent.key!r}"
            raise Rejected(problem, reason="wrong-key", where=f"{where}.intent.key")
        if len(intent.labels) > LABELS_MAX:
            problem = (
                f"its sender had used data with {len(intent.labels)} labels, more than {LABELS_MAX}"
            )
            raise Rejected(problem, reason="too-many", where=f"{where}.intent.labels")
        if intent.follows >= record.version:
            problem = f"version {record.version} follows version {intent.follows}"
            raise Rejected(problem, reason="bad-field", where=f"{where}.intent.follows")


def effect_key(agent: bytes, term: int, version: int, index: int = 0) -> str:
    """Return the key of an effect whose intent is decided at a version (protocol §10.3)."""
    return f"{cid_text(agent)}/{term}/{version}/{index}"


def read_said(spelled: bytes) -> Said:
    """Return what a letter says. Raises `Rejected` for what is too long, or is no value without links."""
    where = "message.spelled"
    (said,), more = decode(spelled, _SPELLED, what=where, limit=BODY_BYTES_MAX)
    if more:
        raise Rejected("it says more than one thing", reason="bad-field", where=where)
    found: Said = said
    return found


_SPELLED: Final = tuple[tuple[Said], dict[str, Any]]
"""The arguments of the sender's call, [positional, named]."""


def check_letter(letter: Letter, view: View, action: str = MESSAGE) -> None:
    """Raise `Rejected` unless a letter is its sender's, as an anchor can tell that knows no more than `view`.

    `action` is that of its intent: a question to another agent is no message.

    Raises `Missing` ("blocks") for chapters that are not stored here, ("time") if some are left to be checked.
    """
    letter.check(action)
    if letter.final.record.realm != view.manifest.realm:
        problem = f"the sender is of realm {letter.final.record.realm!r}"
        raise Rejected(problem, reason="wrong-realm", where="message.final")
    shown = {signed.manifest.zone_id: signed for signed in letter.manifests}
    check_held(letter.sender, letter.final, letter.chapters, shown, view, "message.final")


def check_held(
    agent: bytes,
    final: Certified,
    chapters: Sequence[bytes],
    shown: Mapping[bytes, SignedManifest],
    view: View,
    where: str,
) -> None:
    """Raise `Rejected` unless the zone that certified a transition of an agent had it; `Missing` as `check_letter`.

    `chapters` of its custody and the manifests `shown` prove that; the zone of `view` itself needs no proof.
    """
    if final.certificate.slot.group == view.zone:
        final.check(view.manifests, where=where)
        return
    for signed in shown.values():
        signed.check()
    own = {zone: signed.manifest for zone, signed in shown.items()}
    manifests: Mapping[bytes, ZoneManifest] = {**own, **view.manifests}
    if lacking := view.lacking(chapters):
        raise Missing("blocks", tuple(lacking))

    def chapter(index: int) -> Chapter:
        try:
            return view.chapters[chapters[index]]
        except KeyError:
            raise Missing("blocks", (chapters[index],)) from None

    if not check_onward(agent, chapters, chapter, manifests, view.chains):
        raise Missing("time")
    check_head(chapter(len(chapters) - 1), final, manifests, where=where)
