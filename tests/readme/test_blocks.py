"""The extractor and the runner themselves, on documents with planted faults."""

import time
from pathlib import Path

import pytest

from tests.readme.blocks import Malformed, commands, extract
from tests.readme.running import Untrue, is_like, run

TRUE = """\
# A page

```toml
# desk/agent.toml: what it carries
[agent]
name = "desk"
```

<!-- readme: skip: runs for a minute; make demo runs it -->
```console
$ false
```

```console
$ cd desk
$ grep -c name \\
>   agent.toml
1
$ seq 5; echo trailing words
1
...
5
trailing ...
```

```console
$ basename "$PWD"
desk
```

```python
assert __name__ == "__main__"
```

```cedar
permit (principal, action, resource);
```
"""


def write(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(text)
    return page


def test_blocks_know_their_line_language_file_and_skip(tmp_path: Path) -> None:
    blocks = extract(write(tmp_path, TRUE))
    assert [(3, "toml"), (10, "console"), (14, "console"), (26, "console")] == [
        (block.line, block.language) for block in blocks[:4]
    ]
    assert ["desk/agent.toml", None] == [block.file_name for block in blocks[:2]]
    assert "runs for a minute; make demo runs it" == blocks[1].skip
    assert all(block.skip is None for block in blocks if block is not blocks[1])


def test_commands_know_their_line_and_output(tmp_path: Path) -> None:
    first, second, third = commands(extract(write(tmp_path, TRUE))[2])
    assert (15, "cd desk", ()) == (first.line, first.text, first.output)
    assert (16, "grep -c name \\\n  agent.toml", ("1",)) == (
        second.line,
        second.text,
        second.output,
    )
    assert ("1", "...", "5", "trailing ...") == third.output


def test_a_true_document_runs(tmp_path: Path) -> None:
    run(extract(write(tmp_path, TRUE)), tmp_path)
    assert 'name = "desk"' in (tmp_path / "desk/agent.toml").read_text()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param("```console\n$ echo 4\n5\n```\n", r"page.md:2: \$ echo 4", id="other output"),
        pytest.param("```console\n$ echo 5; false\n5\n```\n", "status 1", id="failure"),
        pytest.param("```console\n$ echo 'open\n```\n", "page.md:2", id="not shell"),
        pytest.param("```console\n$ exit 0\n```\n", "ended its shell", id="end of the shell"),
        pytest.param("```python\nx = = 1\n```\n", "page.md:1", id="not python"),
        pytest.param("```python\nraise OSError('planted')\n```\n", "planted", id="program fails"),
        pytest.param("```toml\na = \n```\n", "page.md:1", id="not toml"),
    ],
)
def test_an_untrue_document_fails(document: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(Untrue, match=message):
        run(extract(write(tmp_path, document)), tmp_path)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param("```console\n$ true\n", "never closes", id="open fence"),
        pytest.param("```bash\ntrue\n```\n", "console", id="commands that would not run"),
        pytest.param("<!-- readme: skip -->\n```toml\n```\n", "reason", id="no reason"),
        pytest.param("<!-- readme: skip: -->\n```toml\n```\n", "reason", id="empty reason"),
        pytest.param("<!-- readme: skip: long -->\nwords\n", "above its block", id="no block"),
    ],
)
def test_a_malformed_document_is_refused(document: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(Malformed, match=message):
        extract(write(tmp_path, document))


def test_output_before_a_command_is_refused(tmp_path: Path) -> None:
    (block,) = extract(write(tmp_path, "```console\n4\n$ echo 4\n```\n"))
    with pytest.raises(Malformed, match="before the first command"):
        commands(block)


def test_what_a_document_leaves_running_ends_with_it(tmp_path: Path) -> None:
    document = "```console\n$ sleep 1000 & echo $! >pid\n```\n"
    run(extract(write(tmp_path, document)), tmp_path)
    pid = (tmp_path / "pid").read_text().strip()
    deadline = time.monotonic() + 10
    while is_running(pid):  # who was sent SIGKILL has not ended yet
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: str) -> bool:
    """Tell whether a process runs: it is there, and no zombie."""
    try:
        return Path("/proc", pid, "stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("pattern", "output", "expected"),
    [
        (["a"], ["a  ", ""], True),
        (["a"], ["a", "b"], False),
        (["..."], ["a", "b"], True),
        (["a", "...", "c"], ["a", "c"], True),
        (["a", "...", "c"], ["a", "b", "b", "c"], True),
        (["a", "...", "c"], ["a", "b"], False),
        (["took ... ms."], ["took 12 ms."], True),
        (["took ... ms."], ["took 12 ms!"], False),
        (["a.c"], ["abc"], False),
    ],
)
def test_an_ellipsis_stands_for_anything(
    pattern: list[str], output: list[str], expected: bool
) -> None:
    assert expected == is_like(pattern, output)
