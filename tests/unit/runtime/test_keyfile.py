"""Key files: owner alone, never overwritten, one clear line for each way of being wrong."""

import stat
from pathlib import Path

import pytest

from sojourn.core.base.errors import Misused
from sojourn.core.base.keys import KeyPair
from sojourn.runtime.processes.keyfile import (
    Purpose,
    make_key,
    parse_public_key,
    read_key,
    read_public_key,
    write_key,
    write_public_key,
)

PAIR = KeyPair(bytes(range(32)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "desk.key"


def problem_of(read: object) -> str:
    assert isinstance(read, pytest.ExceptionInfo)
    assert isinstance(read.value, Misused)
    assert read.value.remedy
    assert "\n" not in str(read.value)
    return read.value.problem


def test_a_key_comes_back_as_it_was_kept(path: Path) -> None:
    made = make_key(path, Purpose.OFFICER)
    assert made.public == read_key(path, Purpose.OFFICER, Purpose.PERSON).public
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_every_key_is_another(tmp_path: Path) -> None:
    pairs = [make_key(tmp_path / f"{i}.key", Purpose.HOST) for i in range(3)]
    assert 3 == len({pair.seed for pair in pairs})


def test_no_key_is_overwritten(path: Path) -> None:
    write_key(path, PAIR, Purpose.HOST)
    before = path.read_bytes()
    with pytest.raises(Misused) as refused:
        make_key(path, Purpose.HOST)
    assert "exists already" in problem_of(refused)
    assert before == path.read_bytes()


def test_no_key_is_written_through_a_link(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Misused):
        make_key(path, Purpose.HOST)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o610])
def test_a_key_that_others_may_read_is_not_used(path: Path, mode: int) -> None:
    write_key(path, PAIR, Purpose.HOST)
    path.chmod(mode)
    with pytest.raises(Misused, match=f"mode {mode:04o}") as refused:
        read_key(path, Purpose.HOST)
    assert f"chmod 600 {path}" in refused.value.remedy


def test_a_key_is_read_for_its_purpose_alone(path: Path) -> None:
    write_key(path, PAIR, Purpose.ANCHOR_VOTE)
    with pytest.raises(Misused) as refused:
        read_key(path, Purpose.ANCHOR_IDENTITY)
    assert "a key for 'anchor-vote'; a key for anchor-identity is needed" in problem_of(refused)


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("sojourn-key/1", "sojourn-key/2", "format 'sojourn-key/2'; this version reads"),
        ('format = "sojourn-key/1"', "", "is no Sojourn key file"),
        ("seed = ", "need = ", "should have public, purpose, seed"),
        ("public = ", 'extra = ""\npublic = ', "should have public, purpose, seed"),
        ('seed = "AAEC', 'seed = "AAED', "do not belong together"),
        ('seed = "AAEC', 'seed = "!!!!', "do not belong together"),
        ('seed = "AAEC', 'seed = "', "do not belong together"),
        ('public = "', 'public = "00', "do not belong together"),
        ("seed", "se\ned", "is damaged"),
        ("# A", "x" * 5000 + "# A", "is no Sojourn key file"),
    ],
)
def test_a_spoiled_key_file_is_named_for_what_it_is(
    path: Path, old: str, new: str, problem: str
) -> None:
    write_key(path, PAIR, Purpose.HOST)
    spoil(path, old, new)
    with pytest.raises(Misused) as refused:
        read_key(path, Purpose.HOST)
    assert problem in problem_of(refused)


def test_bytes_that_are_no_text_are_no_key(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe\x00")
    path.chmod(0o600)
    with pytest.raises(Misused) as refused:
        read_key(path, Purpose.HOST)
    assert "it is not text" in problem_of(refused)


def test_a_key_in_no_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misused) as refused:
        make_key(tmp_path / "file" / "a.key", Purpose.HOST)
    assert "cannot be used" in problem_of(refused)


def test_a_missing_key_and_a_folder_are_one_line_each(path: Path, tmp_path: Path) -> None:
    with pytest.raises(Misused) as missing:
        read_key(path, Purpose.HOST)
    assert f"there is no key file {path}" == problem_of(missing)
    tmp_path.chmod(0o700)
    with pytest.raises(Misused) as folder:
        read_key(tmp_path, Purpose.HOST)
    assert "cannot be used" in problem_of(folder)


def test_the_public_part_holds_no_secret(path: Path) -> None:
    write_public_key(path, PAIR.public, Purpose.OFFICER)
    assert PAIR.public == read_public_key(path)
    assert PAIR.public == read_public_key(path, Purpose.OFFICER)
    assert PAIR.seed.hex() not in path.read_text()


def test_the_two_parts_are_told_apart(path: Path) -> None:
    public = path.with_suffix(".pub")
    write_key(path, PAIR, Purpose.HOST)
    write_public_key(public, PAIR.public, Purpose.HOST)
    public.chmod(0o600)
    with pytest.raises(Misused) as refused:
        read_key(public, Purpose.HOST)
    assert "is the public part" in problem_of(refused)
    with pytest.raises(Misused) as refused:
        read_public_key(path)
    assert "is the private part" in problem_of(refused)


@pytest.mark.parametrize("text", ["", "zz", "00" * 31, "00" * 32, "01" + "00" * 31])
def test_what_nobody_can_hold_is_no_public_key(text: str) -> None:
    with pytest.raises(Misused) as refused:
        parse_public_key(text, what="--officer")
    assert "--officer is no Ed25519 public key" in problem_of(refused)
