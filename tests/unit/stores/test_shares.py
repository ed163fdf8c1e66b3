"""Shares of keys on disk: durable, private, and gone for good."""

import os
from pathlib import Path
from random import Random

import pytest

from sojourn.core.base.errors import StoreFailed
from sojourn.stores.shares import ShareFiles

CHANCE = Random(5)
KEYS = [CHANCE.randbytes(32) for _ in range(3)]
SHARES = [CHANCE.randbytes(32) for _ in range(3)]
AGENT = CHANCE.randbytes(32)


def kept(path: Path) -> ShareFiles:
    made = ShareFiles(path / "shares")
    for key, share in zip(KEYS, SHARES, strict=True):
        made.keep(key, share, AGENT)
    return made


def found(path: Path, wanted: bytes) -> list[Path]:
    return [f for f in path.rglob("*") if f.is_file() and wanted in f.read_bytes()]


def test_what_was_kept_is_there_for_the_next_process(tmp_path: Path) -> None:
    assert set(KEYS) == kept(tmp_path).names
    again = ShareFiles(tmp_path / "shares")
    assert set(KEYS) == again.names
    assert SHARES == [again.get(key) for key in KEYS]
    assert again.get(bytes(32)) is None
    assert [AGENT] * 3 == [again.agent_of(key) for key in KEYS]
    assert again.agent_of(bytes(32)) is None


def test_nobody_else_may_read_them(tmp_path: Path) -> None:
    kept(tmp_path)
    folder = tmp_path / "shares"
    assert 0o700 == folder.stat().st_mode & 0o777
    assert {0o600} == {file.stat().st_mode & 0o777 for file in folder.iterdir()}


def test_no_byte_of_a_destroyed_share_is_left(tmp_path: Path) -> None:
    shares = kept(tmp_path)
    assert found(tmp_path, SHARES[0])
    shares.destroy([KEYS[0], KEYS[1], bytes(32)])
    assert {KEYS[2]} == shares.names
    for share in SHARES[:2]:
        assert [] == found(tmp_path, share)
    assert shares.get(KEYS[0]) is None
    assert {KEYS[2]} == ShareFiles(tmp_path / "shares").names
    assert SHARES[2] == shares.get(KEYS[2])


def test_it_is_overwritten_and_not_only_unlinked(tmp_path: Path) -> None:
    """Another name of the same file shows what is left on disk of it."""
    shares = kept(tmp_path)
    witness = tmp_path / "witness"
    os.link(tmp_path / "shares" / KEYS[0].hex(), witness)
    assert SHARES[0] + AGENT == witness.read_bytes()
    shares.destroy([KEYS[0]])
    assert bytes(64) == witness.read_bytes()


def test_one_that_was_being_written_when_the_power_went_is_destroyed(tmp_path: Path) -> None:
    kept(tmp_path)
    partial, witness = tmp_path / "shares" / ".new", tmp_path / "witness"
    partial.write_bytes(SHARES[0][:20])
    os.link(partial, witness)
    assert set(KEYS) == ShareFiles(tmp_path / "shares").names
    assert not partial.exists()
    assert bytes(20) == witness.read_bytes()


def test_a_share_may_be_kept_again_and_what_is_no_share_is_left_alone(tmp_path: Path) -> None:
    shares = kept(tmp_path)
    shares.keep(KEYS[0], SHARES[1], AGENT)
    assert SHARES[1] == shares.get(KEYS[0])
    (tmp_path / "shares" / "notes").write_text("mine")
    assert set(KEYS) == ShareFiles(tmp_path / "shares").names
    assert "mine" == (tmp_path / "shares" / "notes").read_text()


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "shares").write_text("a file")
    with pytest.raises(StoreFailed):
        ShareFiles(tmp_path / "shares")
    shares = kept(tmp_path / "other")
    for file in (tmp_path / "other" / "shares").iterdir():
        file.unlink()
    (tmp_path / "other" / "shares").rmdir()
    with pytest.raises(StoreFailed):
        shares.keep(KEYS[0], SHARES[0], AGENT)
    with pytest.raises(StoreFailed):
        shares.get(KEYS[0])


def test_what_is_being_destroyed_is_held_and_read_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is destroyed in a thread of its own, while the anchor rules on."""
    shares, destroy, read = kept(tmp_path), ShareFiles._destroy, Path.read_bytes
    seen: list[object] = []

    def midway(path: Path) -> None:
        destroy(path)
        seen.extend((shares.get(KEYS[0]), shares.agent_of(KEYS[0]), KEYS[0] in shares.names))

    monkeypatch.setattr(ShareFiles, "_destroy", staticmethod(midway))
    shares.destroy([KEYS[0]])
    assert [None, None, True] == seen
    assert KEYS[0] not in shares.names

    def late(path: Path) -> bytes:
        shares._going.add(KEYS[1])
        destroy(path)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", late)
    assert shares.agent_of(KEYS[1]) is None, "it went between the look and the reading"
