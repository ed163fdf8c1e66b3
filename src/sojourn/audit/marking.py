"""By which labels acts had to be judged, as the journal says what the code was told (protocol §10.40).

What others told the code has labels, which stand in the journal beside it, and bind all that it does until its next
restart point. So whoever reads a capsule can tell an act that was judged by fewer, which is its host's doing.
"""

from collections.abc import Iterator

from sojourn.core.policy.request import StringSet
from sojourn.runtime.records import Began, Intended, Outcome, Received, Record, Turn

__all__ = ["labels_told", "lacking_labels"]


def labels_told(record: Record) -> StringSet:
    """Return the labels of what a record says that somebody else told the code."""
    match record:
        case Received(mark=mark) if mark is not None and isinstance(mark.labels, tuple):
            return () if isinstance(record.denied, str) else mark.labels
        case Outcome(step="ctx.query", result={"labels": [*labels]}, failure=None):
            return tuple(label for label in labels if isinstance(label, str))
    return ()


def lacking_labels(journal: tuple[Record, ...]) -> Iterator[int]:
    """Yield the place of each intent that was judged by fewer labels than it had to be.

    Where a loop begins, what was told before it may be remembered; that is not counted, so that none is blamed.
    """
    told: set[str] = set()
    for index, record in enumerate(journal):
        if isinstance(record, Began | Turn):
            told.clear()
        elif isinstance(record, Intended) and told.difference(record.labels, record.labels_dropped):
            yield index
        told.update(labels_told(record))
