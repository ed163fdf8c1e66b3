"""Files: read within a bound, written whole, TOML with the place that is wrong."""

from pathlib import Path

import pytest

from sojourn.core.base.encoding import Count, Name, Value
from sojourn.core.base.errors import Misused, Rejected
from sojourn.runtime.processes.files import (
    read_bounded,
    read_manifest,
    read_toml,
    to_toml,
    write_atomically,
)


class Form(Value):
    """What the tests read."""

    name: Name
    count: Count = 0
    tags: tuple[Name, ...] = ()
    is_on: bool = False


def test_what_is_written_as_toml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "form.toml"
    fields = {"name": 'a "b"\n\\ü', "count": 3, "tags": ["x", "y"], "is_on": True, "left": None}
    write_atomically(path, to_toml(fields).encode())
    expected = Form(name='a "b"\n\\ü', count=3, tags=("x", "y"), is_on=True)
    assert expected == read_toml(path, Form, what="form")


def test_writing_replaces_all_or_nothing_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert [path] == list(tmp_path.iterdir())
    assert b"two" == path.read_bytes()
    with pytest.raises(Misused, match="cannot be written"):
        write_atomically(path / "below", b"three")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"name =", "is not TOML"),
        (b"\xff", "is not TOML"),
        (b"x = " + b"[" * 3000 + b"]" * 3000, "is not TOML"),
        (b"count = 1", "missing required field `name`"),
        (b'name = "a"\ncount = -1', "`count`"),
        (b'name = "a"\ncuont = 1', "unknown field `cuont`"),
        (b'name = "a"\ntags = [1]', "`tags[0]`"),
    ],
)
def test_wrong_toml_says_where(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "form.toml"
    path.write_bytes(text)
    with pytest.raises(Misused) as refused:
        read_toml(path, Form, what="form")
    assert said in str(refused.value)
    assert str(path) in refused.value.problem


def test_a_file_is_read_within_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert b"12345" == read_bounded(path, what="thing", limit=5)
    with pytest.raises(Misused, match=r"the thing .* has more than 4 bytes"):
        read_bounded(path, what="thing", limit=4)
    with pytest.raises(Misused, match="Is a directory"):
        read_bounded(tmp_path, what="thing", limit=4)


def test_a_false_manifest_is_named_by_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.manifest"
    path.write_bytes(b"\xa0")
    with pytest.raises(Rejected) as rejected:
        read_manifest(path)
    assert rejected.value.where.startswith(str(path))
