"""`sojourn code sign` and `agent upgrade`: releases that hold, orders that are carried, and bad input."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from sojourn.cli import address_book
from sojourn.cli.agent_upgrade import upgrade_agent
from sojourn.cli.home import Home
from sojourn.cli.reach import Reach
from sojourn.cli.releases import Release, read_release, release_of, write_release
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Misused, Rejected
from tests.unit.cli.command import Command
from tests.village import ISSUER, Village, key, village

PUBLISHER = key("publisher")
CODE = "from sojourn import Agent\n\n\nclass Desk(Agent):\n    async def run(self, ctx):\n        pass\n"
FILE = '[agent]\nentry = "desk:Desk"\n[governance]\npolicies = ["any.cedar"]\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "desk.py").write_text(CODE)
    (tmp_path / "desk.toml").write_text(FILE)
    return tmp_path / "desk.toml"


def test_a_release_holds_the_code_and_its_publishers_seal(sojourn: Command, file: Path) -> None:
    sojourn.good("keys", "new", "acme-code", "--purpose", "publisher")
    done = sojourn.good("code", "sign", file, "--json").json
    release = read_release(file.with_suffix(".release"))
    assert {"desk.py": CODE.encode()} == release.source
    assert ("desk:Desk", release.vouched.signer.hex()) == (done["entry"], done["publisher"])
    again = sojourn("code", "sign", file)
    assert (2, True) == (again.code, "exists already" in again.line())


def spoilt(release: Release) -> dict[str, bytes]:
    """Return what is no release, or not its publisher's."""
    other = replace(release, source={"desk.py": b"stolen = True\n"})
    whole = encode(release)
    mine = replace(release, vouched=replace(release.vouched, signer=ISSUER.public))
    return {
        "empty": b"",
        "cut": whole[:-1],
        "longer": whole + b"\0",
        "other code": encode(other),
        "another publisher": encode(mine),
        "something else": encode({"kind": "code-release/2"}),
    }


BAD = ("empty", "cut", "longer", "other code", "another publisher", "something else")


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_release_is_said_in_one_line(sojourn: Command, file: Path, bad: str) -> None:
    sojourn.good("keys", "new", "acme")
    path = file.with_suffix(".release")
    path.write_bytes(spoilt(release_of(file, PUBLISHER))[bad])
    with pytest.raises(Rejected):
        read_release(path)
    done = sojourn("agent", "upgrade", "desk", path)
    done.line()
    assert 4 == done.code


def test_other_bad_input_is_said_in_one_line(sojourn: Command, file: Path, tmp_path: Path) -> None:
    sojourn.good("keys", "new", "acme")
    write_release(tmp_path / "a.release", release_of(file, PUBLISHER))
    for arguments, problem in (
        (("desk", tmp_path / "none.toml"), "none.toml"),
        (("desk", tmp_path / "none.release"), "none.release"),
        (("desk", tmp_path / "a.release", "--publisher", "acme"), "sealed by its publisher"),
        (("desk", file, "--publisher", "acme"), "acme"),
        (("nobody", file), "nobody"),
        (("nobody", file, "--key", "none"), "none"),
    ):
        done = sojourn("agent", "upgrade", *arguments)
        assert (2, True) == (done.code, problem in done.line()), done


def run(tmp_path: Path, test: Callable[[Village, Reach, Home], Awaitable[None]]) -> None:
    async def main() -> None:
        async with village("a", n=1) as v:
            home = Home(tmp_path / "home")
            home.keep_manifest(v.houses["a"].signed)
            head = await v.launch(v.houses["a"])
            address_book.keep(home, "desk", head.record.agent_id, v.houses["a"].zone)
            await test(v, Reach(v.pool(key("a person"))), home)

    asyncio.run(asyncio.wait_for(main(), 30))


def test_an_order_to_upgrade_is_carried_with_the_code(tmp_path: Path, file: Path) -> None:
    release = release_of(file, PUBLISHER)

    async def test(v: Village, reach: Reach, home: Home) -> None:
        done = await upgrade_agent(reach, home, "desk", release, [ISSUER], "the new curve")
        (agent,) = (address_book.entry_of(home, "desk").agent_id,)
        known = v.houses["a"].anchors[0].shelf.dossier(agent).head
        assert known is not None
        capabilities = known.record.capabilities
        assert (capabilities.code, release.code) == capabilities.codes
        assert done.version == known.record.version
        with pytest.raises(Misused, match="waits for this code already"):
            await upgrade_agent(reach, home, "desk", release, [ISSUER], "")
        stolen = replace(release, source={"desk.py": b"stolen = True\n"})
        with pytest.raises(Rejected):
            await upgrade_agent(reach, home, "desk", stolen, [ISSUER], "")
        other = release_of(file, key("another publisher"))
        with pytest.raises(Misused):
            await upgrade_agent(reach, home, "desk", other, [ISSUER], "")

    run(tmp_path, test)


def test_nobody_but_officers_orders_it(tmp_path: Path, file: Path) -> None:
    async def test(v: Village, reach: Reach, home: Home) -> None:
        release = release_of(file, PUBLISHER)
        with pytest.raises(Exception, match="no officer of this issuer"):
            await upgrade_agent(reach, home, "desk", release, [PUBLISHER], "")

    run(tmp_path, test)
