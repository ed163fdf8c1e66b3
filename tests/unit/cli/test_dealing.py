"""Encrypted compartments of an agent that is launched: what leaves this process, and who keeps the keys."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from sojourn.cli.home import Home
from sojourn.cli.launching import Launch
from sojourn.core.agent.memory.encryption import parse_encrypted
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.errors import Misused
from sojourn.core.base.sharing import is_share, recover
from sojourn.runtime.clients.zone_client import Stalled
from sojourn.runtime.host_side.cipher import BlockCipher
from sojourn.runtime.host_side.dealing import Keyring, give_shares
from tests.unit.cli.test_launching import file, home, prepare
from tests.village import key, village

__all__ = ["file", "home"]

CANARY = "wolframite-canary"


def prepared(home: Home, file: Path, **encrypted: object) -> Launch:
    text = file.read_text()
    for name, value in encrypted.items():
        shown = f'"{value}"' if isinstance(value, str) else "true"
        text += f'\n[memory.{name}]\nencrypted = {shown}\nvalues = {{ first = "{CANARY}" }}\n'
    file.write_text(text)
    return prepare(home, file)


def test_what_is_encrypted_leaves_no_plaintext_in_what_is_sent(home: Home, file: Path) -> None:
    launch = prepared(home, file, people=True)
    assert not any(CANARY.encode() in data for data in launch.blocks.made.values())
    people = launch.record.memory.compartments["people"]
    [dealt] = launch.dealt
    assert dealt.encryption == people.encryption
    plain, below = dealt.cipher.decrypt(launch.blocks.get(people.root), people.root)
    assert () == below
    source = type("Source", (), {"get": staticmethod({digest(plain): plain}.__getitem__)})()
    assert {"first": CANARY} == dict(Mapping.load(digest(plain), source).items())
    for name in ("positions", "risk", "past"):
        assert launch.record.memory.compartments[name].encryption is None


def test_compartments_with_one_name_of_a_key_have_one_key_and_others_have_their_own(
    home: Home, file: Path
) -> None:
    launch = prepared(home, file, ann="ann", notes="ann", bob="bob", rest=True)
    memory = launch.record.memory.compartments
    keys = {name: memory[name].encryption for name in ("ann", "notes", "bob", "rest")}
    assert keys["ann"] == keys["notes"]
    assert 3 == len({each.key for each in keys.values() if each})
    assert 3 == len(launch.dealt)


def test_each_launch_draws_its_own_keys(home: Home, file: Path) -> None:
    one, other = prepared(home, file, people=True), prepare(home, file)
    assert one.dealt[0].encryption.key != other.dealt[0].encryption.key
    assert one.record.memory.compartments["people"].root != (
        other.record.memory.compartments["people"].root
    )


def test_an_empty_one_is_empty(home: Home, file: Path) -> None:
    file.write_text(f'{file.read_text()}\n[memory.people]\nform = "log"\nencrypted = true\n')
    assert ZERO == prepare(home, file).record.memory.compartments["people"].root


@pytest.mark.parametrize("wrong", ['encrypted = ""', "encrypted = 1"])
def test_what_names_no_key_is_an_error(home: Home, file: Path, wrong: str) -> None:
    file.write_text(f"{file.read_text()}\n[memory.people]\n{wrong}\n")
    with pytest.raises(Misused, match="encrypted"):
        prepare(home, file)


def test_every_anchor_gets_its_own_share_and_f_and_one_of_them_give_the_key() -> None:
    async def main() -> None:
        async with village("a") as v:
            house = v.houses["a"]
            dealt = Keyring(house.manifest).key("ann")
            await give_shares(v.client(house, key("launcher")), digest(b"agent"), [dealt])
            kept = {i: house.shares[i].shares[dealt.encryption.key] for i in range(4)}
            for index, share in kept.items():
                assert is_share(share, index + 1, dealt.encryption.commitments)
            secret = recover({2: kept[1], 3: kept[2]}, dealt.encryption.commitments)
            again = BlockCipher(dealt.encryption, secret)
            data = dealt.cipher.encrypt(b"plain", [])
            assert (b"plain", ()) == again.decrypt(data, digest(data))
            assert parse_encrypted(data, digest(data)).key == dealt.encryption.key

    asyncio.run(main())


def test_fewer_than_a_quorum_of_anchors_is_no_launch_and_says_why() -> None:
    async def main() -> None:
        async with village("a") as v:
            house = v.houses["a"]
            dealt = Keyring(house.manifest).key("ann")
            client = v.client(house, key("launcher"))
            await v.close(house, 3)
            await give_shares(client, digest(b"agent"), [dealt])
            other = Keyring(house.manifest).key("bob")
            wrong = replace(other, shares=(other.shares[1], *other.shares[1:]))
            with pytest.raises(Stalled, match=r"2 anchors keep their shares.* 3 have to: anchor 0"):
                await give_shares(client, digest(b"other"), [wrong])

    asyncio.run(main())
