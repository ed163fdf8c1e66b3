"""Blocks put aside in a file: as a dictionary keeps them; and a full disk."""

import errno
from typing import Any

import pytest

from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.base.errors import Failed
from sojourn.runtime.processes.spool import Spool
from tests.unit.core.agent.memory.shelf import Shelf


def test_it_keeps_what_a_dictionary_keeps() -> None:
    spool = NewBlocks(Shelf(), Spool())
    plain = NewBlocks(Shelf())
    for new in (spool, plain):
        names = [new.add(bytes([number]) * number) for number in (3, 0, 9, 3, 200)]
        new.forget([names[2], bytes(32)])
    assert dict(plain.made) == dict(spool.made)
    assert list(plain.made) == list(spool.made), "children before parents"
    assert plain.made_bytes == spool.made_bytes == 203
    assert spool.get(names[4]) == bytes([200]) * 200


def test_a_full_disk_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def seek(self, at: int) -> None: ...

        def write(self, data: bytes) -> Any:
            raise OSError(errno.ENOSPC, "No space left on device")

    spool = Spool()
    spool[b"a"] = b"x"
    monkeypatch.setattr(spool, "_file", Full())  # its own is closed with it all the same
    with pytest.raises(Failed, match=r"2 bytes cannot be put aside in .*: No space left"):
        spool[b"b"] = b"xy"
    assert list(spool) == [b"a"]
