"""Cedar text from files: read, and checked with line and column before anything is signed."""

from collections.abc import Iterable
from pathlib import Path

from sojourn.core.base.errors import Misused
from sojourn.core.policy.document import check_policy
from sojourn.runtime.processes.files import read_bounded

__all__ = ["read_policy"]

_TEXT_CHARS_MAX = 65_536


def read_policy(path: Path, actions: Iterable[str] = (), approvers: Iterable[str] = ()) -> str:
    """Return the policy in a file, checked. `actions` are the application's own that it names.

    `approvers` are the groups that it may ask.

    Raises `Misused` as "name:line:column: problem".
    """
    data = read_bounded(path, what="policy", limit=4 * _TEXT_CHARS_MAX)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Misused(f"the policy {path} is not text", remedy="Write it in UTF-8") from None
    if len(text) > _TEXT_CHARS_MAX:
        problem = f"the policy {path} has {len(text)} characters, more than {_TEXT_CHARS_MAX}"
        raise Misused(problem, remedy="Part it into several documents")
    check_policy(text, actions, name=path.name, approvers=approvers)
    return text
