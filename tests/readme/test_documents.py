"""What README.md and the pages of docs/ that ask for it say is true: their blocks run here."""

from pathlib import Path

import pytest

from tests.readme.blocks import RUN, Block, extract
from tests.readme.running import run

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCUMENTS = [
    README,
    *(page for page in sorted(ROOT.glob("docs/**/*.md")) if RUN in page.read_text()),
]
SKIPPED = [block for document in DOCUMENTS for block in extract(document) if block.skip]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_the_document_is_true(document: Path, tmp_path: Path) -> None:
    blocks = extract(document)
    assert any(block.language == "console" and not block.skip for block in blocks)
    run(blocks, tmp_path)


@pytest.mark.parametrize("block", SKIPPED, ids=str)
def test_block_that_is_run_elsewhere(block: Block) -> None:
    pytest.skip(f"{block}: {block.skip}")
