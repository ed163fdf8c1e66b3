"""Letters in a schedule: what an agent says to another, and which anchors of which zone keep it (protocol §10.26).

The intent is decided like any other. Whoever carries the letter then shows it to the anchors of some zone, with the
chapters that prove its sender there if that zone is another. What receivers make of it is not looked at: they have
no inboxes here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sojourn.core.base.digests import cid_text, digest
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import SojournError
from sojourn.core.protocol.custody import Chapter
from sojourn.core.protocol.exchange import AskPast, Past, PutBlocks, PutMessage
from sojourn.core.protocol.letters import MESSAGE, Letter, Said, check_letter, effect_key
from sojourn.core.protocol.messages import Applied, Declined, Intent, Need, Reply
from sojourn.core.protocol.missing import Missing
from sojourn.testing import history
from sojourn.testing.schedules.simulator import Message

if TYPE_CHECKING:
    from sojourn.testing.schedules.anchor import AnchorNode
    from sojourn.testing.schedules.host import HostNode
    from sojourn.testing.schedules.run import Run

__all__ = ["carry", "post", "spelled", "take", "written"]


def spelled(said: Said) -> bytes:
    """Return what is said as the call of the sender's code is spelled."""
    return encode(((said,), {}))


def written(run: "Run") -> tuple[Intent, bytes]:
    """Return the intent of the next letter, to one of the agents there are, and what it says."""
    record, agents = run.record, run.host.scene.agents
    said = Said(to=run.host.chance.choice(agents).agent, value=record.version + 1)
    words = spelled(said)
    intent = Intent(
        step="ctx.send",
        action=MESSAGE,
        effect="idempotent",
        key=effect_key(record.agent_id, record.custody.term, record.version + 1),
        arguments=digest(words),
        counterpart=cid_text(said.to),
    )
    return intent, words


def carry(run: "Run", intent: Intent, words: bytes) -> None:
    """Show a letter whose intent is decided to the anchors of some zone, proved if that is not the sender's."""
    host, letter = run.host, Letter(intent=intent, final=run.head, spelled=words)
    zone = host.chance.choice(sorted(host.everybody))
    if zone == host.zone.zone:
        post(host, zone, letter)
        return

    def heard(message: Message) -> None:
        if isinstance(message.body, Past):
            term = letter.final.record.custody.term
            past = [c for c in message.body.chapters if c.opened.record.custody.term <= term]
            chapters = tuple(map(digest_of, past))
            post(host, zone, replace(letter, chapters=chapters), past)

    host.say(host.chance.choice(host.anchors), AskPast(agent=run.agent), heard)


def post(host: "HostNode", zone: bytes, letter: Letter, past: Sequence[Chapter] = ()) -> None:
    """Show a letter to all anchors of a zone, and to those that lack them the chapters of its sender's past."""
    blocks = tuple(map(encode, past))
    host.shared.chapters.update({digest_of(chapter): chapter for chapter in past})

    def heard(message: Message) -> None:
        if not isinstance(message.body, Need) or not blocks:
            return
        anchor = message.source
        host.say(anchor, PutBlocks(blocks=blocks), lambda _: host.say(anchor, shown))

    shown = PutMessage(message=letter)
    for anchor in host.everybody[zone]:
        host.say(anchor, shown, heard)


def take(anchor: "AnchorNode", put: PutMessage) -> Reply:
    """Keep a letter if it is its sender's, as production does; otherwise say why not, or what is lacking."""
    letter, simulator = put.message, anchor.simulator
    assert isinstance(letter, Letter), "people write to nobody here"
    while True:
        try:
            check_letter(letter, anchor.view())
        except Missing as missing:
            if missing.what != "time":
                return Need(what=missing.what, digests=missing.digests)
        except SojournError as error:
            simulator.counts[f"letter declined: {error.code}"] += 1
            return Declined(reason=error.code, problem=str(error), for_now=False)
        else:
            break
    simulator.counts["letter kept"] += 1
    fact = history.Kept(simulator.now_ms, anchor.zone.zone, anchor.index, letter, anchor.is_honest)
    simulator.history.kept.append(fact)
    return Applied()
