"""Source of any kind: what is no Python is said, and nothing is run."""

import random

import pytest

from sojourn.checking.findings import RULES
from sojourn.checking.source_check import check_source
from sojourn.core.base.errors import Misused
from tests.unit.checking.agents_written import written
from tests.unit.checking.test_reach import HEAD

AGENT = written("time.time()", head=HEAD)


@pytest.mark.parametrize(
    "data",
    [
        b"def",
        b"\xff\xfe",
        b"# -*- coding: latin-9000 -*-\n",
        b"x = '\xe4'",
        b"a\0b",
        b"(" * 10_000,
        b"-" * 200_000 + b"1",
        b"def f():\n  x\n\ty",
    ],
    ids=repr,
)
def test_what_is_no_python_is_said_in_one_line(data: bytes) -> None:
    with pytest.raises(Misused, match=r"bad\.py is no Python: ") as raised:
        check_source({"desk.py": AGENT.encode(), "bad.py": data})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + AGENT.encode(),
        AGENT.replace("\n", "\r\n").encode(),
        b"# -*- coding: latin-1 -*-\n# \xe4\n" + AGENT.encode(),
        AGENT.encode() + b"\nx = '\\d'  # which a compiler would warn of",
        b"raise SystemExit\n" + AGENT.encode(),
    ],
    ids=["mark", "crlf", "latin-1", "warning", "not run"],
)
def test_python_of_any_encoding_is_read_and_not_run(data: bytes) -> None:
    (found,) = check_source({"desk.py": data}).findings
    lines = data.decode("latin-1").splitlines()
    assert "time.time()" == lines[found.line - 1].strip()
    assert "clock" == found.rule


def test_nothing_is_nothing() -> None:
    assert ((), ()) == (check_source({}).agents, check_source({}).findings)
    assert ((), ()) == (check_source({"a.py": b""}).agents, check_source({"a.py": b""}).findings)


def test_whatever_is_cut_out_or_doubled_is_read_or_refused() -> None:
    """An agent's lines, some lost and some twice, by chance: findings or one error, and never anything else."""
    text = written(
        "for x in {1}: SEEN.append(x)\nself.kept = x\nreturn self.help() + x.kept",
        head=f"{HEAD}\nSEEN = []\nNOW = time.time()\ndef tell(x=NOW): return tell(x)",
        body="kept = SEEN\n@property\ndef told(self): return super().told",
    )
    chance, read = random.Random(7), 0
    for _ in range(300):
        lines = [
            line for line in text.splitlines() for _ in range(chance.choice([0, 1, 1, 1, 1, 2]))
        ]
        try:
            found = check_source({"desk.py": "\n".join(lines).encode()}, "desk:Desk").findings
        except Misused:
            continue
        read += 1
        assert all(each.rule in RULES for each in found)
    assert read > 10
