"""Bugs in custody: migration, returns, memory, and what proves where an agent has been (protocol §5, §10)."""

from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.protocol import validate
from sojourn.core.protocol.admission import returned
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.messages import Evidence
from sojourn.testing.schedules import anchor as anchors
from sojourn.testing.schedules import caretaker, run
from sojourn.testing.schedules.anchor import AnchorNode
from sojourn.testing.schedules.caretaker import Caretaker, Task
from sojourn.testing.schedules.disk import Disk, Write
from sojourn.testing.schedules.run import Run
from tests.planted.plant import Plant, all_of, in_place_of, instead, nothing
from tests.planted.vehicles import Schedules

__all__ = ["PLANTS"]

TAKEN_BACK_AFTER: Final = 2


def _takes_back(right: Any) -> Any:
    """Have a departed agent taken back when its target has not answered a few times."""

    def press(care: Caretaker, dossier: Dossier) -> None:
        head = dossier.head
        if head is None or care._pressed.get(dossier.agent, 0) < TAKEN_BACK_AFTER:
            right(care, dossier)
            return
        record = returned(head.record, head.certificate.slot)
        transition = care._transition(TransitionKind.RETURN, head, record)
        care._propose(Task.PRESS, transition, head, Evidence(), shown=head)

    return press


def _forgets_who_left(right: Any) -> Any:
    return lambda dossier, admission, view: replace(
        right(dossier, admission, view), head=None, high_term=0, held=False, chapter=None
    )


def _blocks_unwritten(right: Any) -> Any:
    """Vote for memory that came along, and do not write it with the vote."""

    def perform(node: AnchorNode, before: Dossier, ruling: Any, given: Any, then: Any) -> None:
        right(node, before, ruling, (), then)

    return perform


def _another_slot(right: Any) -> Any:
    """Let a refusal have the version after the admission's."""

    def slot_for(parent: Any, transition: Any, manifest: Any) -> Any:
        slot = right(parent, transition, manifest)
        is_refusal = transition.kind is TransitionKind.REFUSE
        return replace(slot, version=slot.version + 1) if is_refusal else slot

    return slot_for


def _slot_of_refusal_unchecked(right: Any) -> Any:
    def check_slot(certified: Certified, where: str) -> None:
        if certified.transition.kind is not TransitionKind.REFUSE:
            right(certified, where)

    return check_slot


def _answers_first(right: Any) -> Any:
    def write(disk: Disk, made: Write) -> None:
        made.then()
        right(disk, made._replace(then=nothing))

    return write


def _counter_unwritten(right: Any) -> Any:
    return lambda disk, made: right(disk, made._replace(counter=0))


def _from_what_was_proposed(right: Any) -> Any:
    """Go on from the journal that was last proposed, decided or not."""
    proposed: dict[bytes, tuple[int, bytes]] = {}

    def following(it: Run, **changes: Any) -> Any:
        record, block = right(it, **changes)
        last = proposed.get(it.agent)
        if last is not None and last[0] == record.version:
            block = run.journal_block(last[1], record.version)
            memory = replace(record.memory, journal=it.host.library.add(block))
            record = replace(record, memory=memory)
        proposed[it.agent] = (record.version + 1, record.memory.journal)
        return record, block

    return following


def _unasked(right: Any) -> Any:
    """Ask no policy about an intent."""

    def permit(record: Any, documents: Any, action: str, *rest: Any) -> None:
        if action in ("launch", "travel"):
            right(record, documents, action, *rest)

    return permit


PLANTS: Final = (
    Plant(
        "takes-back-by-time",
        16,
        "the source takes an agent back when its target does not answer",
        Schedules("strangers"),
        "no fork",
        all_of(
            instead(Caretaker, "_press", _takes_back),
            in_place_of(validate, "check_refusal", nothing),
            in_place_of(anchors, "caught_up", nothing),
        ),
    ),
    Plant(
        "forgets-who-left",
        21,
        "an anchor forgets an agent, and its closed terms, when it knows where it went",
        Schedules("strangers"),
        "honest never blamed",
        instead(anchors, "note_onward", _forgets_who_left),
    ),
    Plant(
        "memory-unwritten",
        23,
        "memory that comes with a proposal is not written with the vote",
        Schedules("migrate"),
        "no loss",
        instead(AnchorNode, "perform", _blocks_unwritten),
    ),
    Plant(
        "two-slots",
        19,
        "admission and refusal are decided in two slots",
        Schedules("lone anchors"),
        "no fork",
        all_of(
            instead(validate, "slot_for", _another_slot),
            instead(caretaker, "slot_for", _another_slot),
            instead(Certified, "_check_slot", _slot_of_refusal_unchecked),
        ),
    ),
    Plant(
        "answers-first",
        5,
        "an answer leaves before the disk has it",
        Schedules("crowded"),
        "honest never blamed",
        instead(Disk, "write", _answers_first),
    ),
    Plant(
        "counter-unwritten",
        7,
        "the counter of votes is not written with them",
        Schedules("crowded"),
        "P6 live",
        instead(Disk, "write", _counter_unwritten),
    ),
    Plant(
        "journal-of-another",
        0,
        "a host goes on from a journal that was proposed, and not the one decided",
        Schedules("takeover"),
        "memory is the replay",
        instead(Run, "_next", _from_what_was_proposed),
    ),
    Plant(
        "unasked",
        0,
        "anchors ask no policy about an intent",
        Schedules("migrate"),
        "nothing unpermitted",
        instead(validate, "_permit", _unasked),
    ),
)
