"""Real processes, and a secret that is in no byte of what they leave behind (protocol §10.28)."""

import asyncio
from pathlib import Path

from sojourn.cli import address_book
from sojourn.cli.exporting import export_agent
from tests.system.ground import Ground, ground

CANARY = "canary/Zk3-5+9d7c1b"
TURNS = 4


def provide(g: Ground, zone: str, kept: Path) -> None:
    """Let the hosts of a zone hand out the secret."""
    kept.write_text(CANARY + "\n")
    for folder in g.home.zone(zone).hosts():
        text = f"[bank]\nfile = '{kept}'\neveryone = true\nactions = ['ledger.append']\n"
        (folder / "secrets.toml").write_text(text)


def check_nowhere(folder: Path, kept: Path) -> int:
    """Return how many files there are, of which none holds the secret but its own."""
    files = [path for path in folder.rglob("*") if path.is_file() and path != kept]
    for path in files:
        assert CANARY.encode() not in path.read_bytes(), path
    return len(files)


async def keep(folder: Path) -> None:
    kept = folder / "kept"
    async with ground(folder) as g:
        g.found("a", hosts=2, lease_ms=1_000)
        provide(g, "a", kept)
        await g.up("a")
        memory = {"plan": {"turns": TURNS}, "done": None}
        follower = await g.launch("a", "keeper:Keeper", memory)
        await g.advance(follower, "done", by=2)
        index = g.host_of(follower)
        g.kill("host", "a", index)
        g.start("host", "a", index)
        said = await g.result(follower)
        assert [str(len(CANARY) + number) for number in range(TURNS)] == said[::3]
        assert all("Authorization: Bearer [secret bank]" in each for each in said[1::3])
        assert all("contains secret 'bank'" in each or "give" in each for each in said[2::3])
        capsule = folder / "keeper.capsule"
        address_book.keep(g.home, "keeper", follower.agent, follower.zone.zone_id)
        await export_agent(g.reach, g.home, "keeper", capsule, with_history=True)
        assert 10_000 < capsule.stat().st_size
        assert 20 < check_nowhere(folder, kept)
        logs = "".join((path / "host.log").read_text() for path in g.home.zone("a").hosts())
        assert 2 * TURNS <= logs.count("[secret bank]")


def test_no_file_of_any_process_holds_a_secret(tmp_path: Path) -> None:
    asyncio.run(keep(tmp_path))
