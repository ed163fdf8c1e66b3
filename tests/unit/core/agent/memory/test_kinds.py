"""What can be nothing but memory, and what may be something else and is never collected."""

import pytest

from sojourn.cli.releases import code_block
from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.memory.chunks import write
from sojourn.core.agent.memory.encryption import EncryptedBlock
from sojourn.core.agent.memory.kinds import is_memory_alone
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import encode, encode_block
from sojourn.core.protocol.custody import Chapter
from sojourn.core.protocol.parentage import Parentage, parentage_block
from tests import samples
from tests.fuzz.shapes import example_of
from tests.unit.core.agent.memory.shelf import Shelf


def memories() -> NewBlocks:
    new = NewBlocks(Shelf())
    mapping = Mapping.load(ZERO, new)
    for number in range(300):
        mapping = mapping.put(f"{number}", f"{number}" * number)
    mapping.put("large", b"x" * 200_000).put("dict", {"a": "b" * 2000}).commit(new)
    log = Log.load(ZERO, new).extend(["y" * (n % 50) * 40 for n in range(600)])
    log.trim(70).commit(new)
    log.commit(new)
    write(b"z" * 100_000, new)
    return new


def test_all_that_mappings_logs_and_chunks_are_made_of_is_memory() -> None:
    made = memories().made
    assert len(made) > 100
    for data in made.values():
        assert is_memory_alone(data)


@pytest.mark.parametrize(
    "data",
    [
        encode(samples.document().document),
        encode(example_of(Chapter, full=True)),
        code_block({"agent.py": b"class Agent: ..."}),
        code_block({}),
        parentage_block(Parentage(chapters=(digest(b"1"),), documents=())),
        EncryptedBlock(digest(b"key"), b"x" * 50, ()).to_bytes(),
        encode_block(["new-kind/1", 1]),
        encode_block({"kind": "new-kind/1"}),
        encode_block({"kind": 3}),
        encode_block(5),
        b"\xff",
    ],
)
def test_what_may_be_named_from_elsewhere_is_not(data: bytes) -> None:
    assert not is_memory_alone(data)
