"""`ctx.memory` beyond the first reads and writes: scans, pages, many at once, logs that are trimmed."""

import pytest

from sojourn.runtime.host_side.execution import How
from tests.unit.runtime.custody import Zone
from tests.unit.runtime.test_compartments import running


def test_a_mapping_is_scanned_by_prefix_range_and_page() -> None:
    ending = running("""
                book = ctx.memory["book"]
                book.update({f"{a}/{b}": [a, b] for a in range(3) for b in range(10)})
                book.update([("z", 1), ("z", 2)])
                assert len(book) == 31 and book["z"] == 2
                assert list(book.keys("1/", start="1/4", stop="1/6")) == ["1/4", "1/5"]
                assert list(book.values("2/", start="2/9")) == [[2, 9]]
                assert list(book.items(start="2/9")) == [("2/9", [2, 9]), ("z", 2)]
                seen, page = [], book.page(7, prefix="1/")
                while page.next is not None:
                    seen.append(len(page.items))
                    page = book.page(7, prefix="1/", after=page.next)
                seen.append(len(page.items))
                assert page.items[-1] == ("1/9", [1, 9]) and seen == [7, 3]
                assert book.page(10, prefix="1/").next is None
                assert book.page(9, prefix="0/", stop="0/9").next is None
                assert book.page(1, after="nothing after").items == [("z", 2)]
                assert book.page(1, after="z") == ([], None)
                return True""")
    assert ending.result is True


def test_many_are_set_and_removed_at_once() -> None:
    ending = running("""
                book = ctx.memory["book"]
                book.update({f"{n:02}": n for n in range(40)})
                assert book.clear("1") == 10 and book.clear(start="30", stop="35") == 5
                assert book.pop("00") == 0 and book.pop("00", None) is None
                try:
                    book.pop("00")
                    return "popped"
                except KeyError:
                    pass
                try:
                    book.update({"a": 1, "b": object()})
                    return "updated"
                except Exception:
                    pass
                assert "a" not in book
                assert list(book)[:2] == ["01", "02"] and len(book) == 24
                return [book.clear(), len(book)]""")
    assert ending.result == [24, 0]


def test_a_log_is_read_from_anywhere_and_either_end() -> None:
    ending = running("""
                risk = ctx.memory["risk"]
                risk.extend(range(100))
                assert list(risk.entries(97)) == list(risk.entries(-3)) == [(97, 97), (98, 98), (99, 99)]
                assert list(risk.entries(5, 7)) == [(5, 5), (6, 6)] and list(risk.entries(100)) == []
                newest = risk.newest()
                assert [next(newest), next(newest)] == [(99, 99), (98, 98)]
                assert list(reversed(risk)) == [*range(99, -1, -1)]
                return risk.index(40)""")
    assert ending.result == 40


def test_a_log_is_trimmed_and_what_is_left_stays_where_it_was() -> None:
    zone = Zone()
    ending = running(
        """
                risk = ctx.memory["risk"]
                risk.extend(f"value {n}" for n in range(100))
                await ctx.sleep(0)
                await self.peek({})
                assert risk.trim(before=50) == 50 and risk.trim(keep=90) == 0
                assert risk.trim(keep=30) == 20 and risk.first == 70
                risk.append("one more")
                assert len(risk) == 101 and risk[70] == "value 70" and risk[-1] == "one more"
                assert risk[:72] == ["value 70", "value 71"] and risk[0:102:50] == ["one more"]
                assert list(risk) == risk[:] and len(list(risk)) == 31
                assert list(reversed(risk))[-1] == "value 70"
                assert [at for at, _ in risk.newest()] == [*range(100, 69, -1)]
                assert list(risk.entries(0, 71)) == [(70, "value 70")]
                assert risk.index("value 71") == 71
                said = []
                for read in (lambda: risk[69], lambda: risk[-32], lambda: risk.index("value 1")):
                    try:
                        read()
                    except (IndexError, ValueError) as error:
                        said.append(str(error))
                return said""",
        zone,
    )
    gone = "value 69 was trimmed: the log begins with 70"
    assert ending.result == [gone, gone, "'value 1' is not in log 'risk'"]
    sizes = [draft.memory.compartments["risk"].size for draft in zone.drafts]
    assert sizes[-1] < sizes[0], "what was trimmed is counted no more"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (
            'ctx.memory["risk"].trim()',
            "log 'risk' was to be trimmed with before=None, keep=None",
        ),
        (
            'ctx.memory["risk"].trim(before=1, keep=1)',
            "log 'risk' was to be trimmed with before=1, keep=1",
        ),
        ('ctx.memory["risk"].trim(keep=-1)', "log 'risk' was to be trimmed with"),
        ('ctx.memory["risk"].trim(before=1)', "a log of 0 values cannot begin with index 1"),
        ('ctx.memory["risk"].trim(before=-1)', "a log of 0 values cannot begin with index -1"),
        ('ctx.memory["book"].page(0)', "a page of 0 entries"),
        ('ctx.memory["book"].keys(start=1)', "not a key: 1"),
    ],
)
def test_what_cannot_be_is_said_plainly(body: str, problem: str) -> None:
    ending = running(body)
    assert ending.how is How.RAISED
    assert ending.text.startswith(f"Misused: {problem}")
