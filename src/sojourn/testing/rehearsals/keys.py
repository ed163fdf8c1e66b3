"""Encrypted memory in a rehearsal: keys that come from its seed, and are held where the agent begins.

Agents are run as a host runs them, with the translation between that stands at a host's door
(`runtime.host_side.encrypting`); so what is stored is ciphertext, and what a test looks at is decrypted for it.
"""

import msgspec

from sojourn.core.agent.memory.blocks import BlockSource, NewBlocks, NoBlocks
from sojourn.core.agent.memory.encryption import Encryption, keys_of
from sojourn.core.agent.memory.field import Compartment
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.sharing import commit, scalar
from sojourn.runtime.apart import is_here
from sojourn.runtime.host_side.cipher import BlockCipher
from sojourn.runtime.host_side.encrypting import Encrypting, encrypt_below
from sojourn.runtime.ports import Custodian
from sojourn.testing.founding import Keep, compartment

__all__ = ["Keyring"]


class Keyring:
    """The keys of one rehearsal, by the names that `Keep(encrypted=...)` gives them."""

    def __init__(self, seed: str) -> None:
        """Draw keys from a seed, when they are asked for."""
        self._seed = seed
        self._keys: dict[str, Encryption] = {}
        self._ciphers: dict[bytes, BlockCipher] = {}

    def _cipher(self, name: str) -> tuple[Encryption, BlockCipher]:
        if name not in self._keys:
            chance = (digest(f"{self._seed}|key {name}|{half}".encode()) for half in (0, 1))
            secret = scalar(b"".join(chance))
            key = self._keys[name] = Encryption(commitments=commit([secret]))
            self._ciphers[key.key] = BlockCipher(key, secret)
        key = self._keys[name]
        return key, self._ciphers[key.key]

    def compartment(self, name: str, kept: Keep, blocks: NewBlocks) -> Compartment:
        """Return a compartment with what is in it at first; what it is made of goes into `blocks`."""
        if not kept.encrypted:
            return compartment(kept, blocks)
        plain = NewBlocks(NoBlocks())
        made = compartment(kept, plain)
        key, cipher = self._cipher(name if kept.encrypted is True else kept.encrypted)
        return msgspec.structs.replace(
            made, root=_encrypted(cipher, made.root, plain, blocks), encryption=key
        )

    async def opened(self, custodian: Custodian) -> Custodian:
        """Return the custodian of an agent as its execution is to see it: with what is here in plaintext."""
        record = custodian.record
        here = (c for c in record.memory.compartments.values() if is_here(c, record))
        keys = keys_of(c.encryption for c in here)
        if not keys:
            return custodian
        return await Encrypting.open(custodian, {key: self._ciphers[key] for key in keys})

    def shown(self, record: AgentRecord, stored: BlockSource) -> tuple[AgentRecord, BlockSource]:
        """Return a record, and blocks, in which what is encrypted stands in plaintext, but for what was erased."""
        compartments, plain = dict(record.memory.compartments), dict[bytes, bytes]()
        for name, kept in compartments.items():
            if kept.encryption is not None and not kept.is_erased:
                cipher = self._ciphers[kept.encryption.key]
                root = _decrypted(cipher, kept.root, stored, plain)
                compartments[name] = msgspec.structs.replace(kept, root=root, encryption=None)
        if not plain:
            return record, stored
        memory = msgspec.structs.replace(record.memory, compartments=compartments)
        shown = msgspec.structs.replace(record, agent=record.agent_id, memory=memory)
        return shown, _Shown(plain, stored)


class _Shown:
    """Blocks of which some are at hand in plaintext."""

    def __init__(self, plain: dict[bytes, bytes], stored: BlockSource) -> None:
        self._plain, self._stored = plain, stored

    def get(self, named: bytes) -> bytes:
        """Return a block's bytes. Raises `MissingBlock`."""
        return self._plain[named] if named in self._plain else self._stored.get(named)


def _encrypted(cipher: BlockCipher, root: bytes, plain: NewBlocks, blocks: NewBlocks) -> bytes:
    """Put what is below a root into `blocks`, encrypted; return the root there."""
    if root == ZERO:
        return ZERO
    stored: dict[bytes, bytes] = {}
    for named, data in encrypt_below(cipher, root, plain.get, stored.get):
        stored[named] = blocks.add(data)
    return stored[root]


def _decrypted(
    cipher: BlockCipher, root: bytes, stored: BlockSource, plain: dict[bytes, bytes]
) -> bytes:
    """Put what is below an encrypted root into `plain`; return the root there."""
    todo, names = [] if root == ZERO else [root], {ZERO: ZERO}
    while todo:
        named = todo.pop()
        if named not in names:
            data, shown = cipher.decrypt(stored.get(named), named)
            names[named] = digest(data)
            plain[names[named]] = data
            todo += shown
    return names[root]
