"""The documents are true of the code: clauses, links, words, packages, traps."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "sojourn"
PROTOCOL = ROOT / "docs" / "protocol"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    ROOT / "models" / "README.md",
    ROOT / "vectors" / "README.md",
]
CODE = [file for folder in ("src", "tests") for file in sorted((ROOT / folder).rglob("*.py"))]
CITED = re.compile(r"protocol §[\d., §and]*\d")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def headings() -> dict[int, str]:
    """Return the text of each section of the protocol, by its number."""
    found = {}
    for page in PROTOCOL.glob("*.md"):
        text = page.read_text()
        if heading := re.match(r"# §(\d+) ", text):
            found[int(heading[1])] = text
    return found


SECTIONS = headings()
TRAPS = {
    int(row[1]): row[2]
    for row in re.finditer(r"^\| (\d+) \|(?:.*\|)? ([^|]+) \|$", SECTIONS[14], re.MULTILINE)
}


def anchor_of(heading: str) -> str:
    """Return the fragment that renderers give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip("# ").lower()).replace(" ", "-")


def test_the_protocol_has_every_section_once_and_in_its_own_page() -> None:
    assert set(SECTIONS) == set(range(16))
    listed = re.findall(
        r"^\| \[§(\d+)\]\((\d+)-", (PROTOCOL / "index.md").read_text(), re.MULTILINE
    )
    assert [(int(one), int(other)) for one, other in listed] == [(n, n) for n in range(16)]


def test_every_section_that_code_cites_exists() -> None:
    cited = {
        (file.relative_to(ROOT).as_posix(), int(number))
        for file in CODE
        for place in CITED.findall(file.read_text())
        for number in re.findall(r"§(\d+)", place)
    }
    assert len(cited) > 50
    assert {place for place in cited if place[1] not in SECTIONS} == set()


@pytest.mark.parametrize(("section", "word"), [(3, "rule"), (4, "check"), (5, "step")])
def test_every_rule_check_and_step_that_code_cites_exists(section: int, word: str) -> None:
    pattern = rf"protocol §{section},? {word}s? (\d+)"
    cited = {int(n) for file in CODE for n in re.findall(pattern, file.read_text())}
    text = SECTIONS[section]
    stated = {int(n) for n in re.findall(rf"^- \*\*{word} (\d+)", text, re.MULTILINE)}
    stated |= {int(n) for n in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert stated
    assert cited - stated == set()


def test_every_trap_that_code_cites_is_in_the_list() -> None:
    cited = {
        int(number)
        for file in CODE
        for place in re.findall(r"\btraps? \d+(?:(?:, | and )\d+)*", file.read_text())
        for number in re.findall(r"\d+", place)
    }
    assert set(TRAPS) == set(range(1, 56))
    assert cited - set(TRAPS) == set()


def test_every_trap_that_is_said_to_have_a_test_or_a_model_has_one() -> None:
    names = {
        node.name
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    tested = {int(n) for name in names for n in re.findall(r"trap_(\d+)", name)}
    claimed = {number for number, by in TRAPS.items() if re.match(r"test\b", by)}
    assert claimed - tested == set()
    models = {name for by in TRAPS.values() for name in re.findall(r"`(\w+_\w+)`", by)}
    assert {name for name in models if not (ROOT / "models" / f"{name}.cfg").exists()} == set()
    folders = {name for by in TRAPS.values() for name in re.findall(r"`(tests/[\w/]+)`", by)}
    assert {name for name in folders if not (ROOT / name).is_dir()} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    lost = []
    for target in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (page.parent / path) if path else page
        titles = re.findall(r"^#+ .*$", file.read_text(), re.MULTILINE) if fragment else []
        if not file.exists() or (fragment and fragment not in map(anchor_of, titles)):
            lost.append(target)
    assert lost == []


def test_every_page_of_the_documents_can_be_reached_from_the_front_page() -> None:
    reached, ahead = set[Path](), [ROOT / "docs" / "index.md"]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        links = (
            page.parent / target.partition("#")[0] for target in LINK.findall(page.read_text())
        )
        found = {link.resolve() for link in links if link.suffix == ".md"}
        ahead += found - reached
    assert set(ROOT.glob("docs/**/*.md")) - reached == set()


def test_every_class_in_the_glossary_exists() -> None:
    classes = {
        node.name
        for file in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef)
    }
    rows = re.findall(r"^\| (.+?) \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    words = {word for row in rows for word in re.findall(r"`(\w+)`", row)}
    assert len(words) > 40
    assert words - classes == set()


def test_the_architecture_lists_the_packages_that_there_are() -> None:
    there = {
        ".".join(file.parent.relative_to(SOURCE.parent).parts)
        for file in SOURCE.rglob("__init__.py")
    }
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert sorted(there) == sorted(re.findall(r"^\| `(sojourn[\w.]*)` \|", text, re.MULTILINE))


def test_decisions_are_numbered_and_listed_by_their_titles() -> None:
    folder = ROOT / "docs" / "decisions"
    records = sorted(folder.glob("[0-9]*.md"))
    titles = [record.read_text().partition("\n")[0].removeprefix("# ") for record in records]
    assert [f"{n:04}" for n in range(1, len(records) + 1)] == [title[:4] for title in titles]
    listed = re.findall(
        r"^\| \[(\d+)\]\(([^)]+)\) \| (.+) \|$", (folder / "index.md").read_text(), re.MULTILINE
    )
    expected = [
        (title[:4], record.name, title[5:]) for title, record in zip(titles, records, strict=True)
    ]
    assert expected == listed
