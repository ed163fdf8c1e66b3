"""Zones as processes: up, down, status, killed and restarted, introduced to each other."""

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from sojourn.anchor.folder import AnchorFolder
from sojourn.runtime.processes.pidfile import running
from tests.system.person import Person, until

_IDLE = """
[agent]
name = "idle"
entry = "idle:Idle"

[governance]
policies = ["rules.cedar"]
"""


def test_a_zone_of_four_survives_a_kill_and_says_when_it_stalls(sojourn: Person) -> None:
    sojourn.good("zone", "init", "home", "--local", 4, "--hosts", 1, "--price", "0.085")
    down = sojourn("zone", "status", "home", "--json")
    assert (5, 0) == (down.code, down.json["answering"])
    up = sojourn.good("zone", "up", "home", "--json").json
    assert (4, 3, 1) == (up["answering"], up["quorum"], len(up["hosts"]))
    assert 85_000 == up["hosts"][0]["price_micros"]
    processes = [anchor["process"] for anchor in up["anchors"]]

    again = sojourn.good("zone", "up", "home", "--json").json
    assert processes == [anchor["process"] for anchor in again["anchors"]]

    sojourn.kill("home", "anchors", 0)
    one_gone = sojourn.good("zone", "status", "home")
    assert "3 of 4 anchors answer, 3 are needed; 0 more may fail" in one_gone.text
    sojourn.kill("home", "anchors", 1)
    two_gone = sojourn("zone", "status", "home")
    assert 5 == two_gone.code
    assert "stalled: 2 of 4 anchors answer, 3 are needed; 1 more must come back" in two_gone.text

    mended = sojourn.good("zone", "up", "home", "--json").json
    assert 4 == mended["answering"]
    assert processes[2:] == [anchor["process"] for anchor in mended["anchors"]][2:]
    assert "5 processes ended" in sojourn.good("zone", "down", "home").text
    assert "nothing of home ran here" in sojourn.good("zone", "down", "home").text


def test_a_zone_of_seven_stands_the_loss_of_any_two(sojourn: Person) -> None:
    sojourn.good("keys", "new", "acme")
    sojourn.good("zone", "init", "home", "--local", 7, "--hosts", 0)
    up = sojourn.good("zone", "up", "home", "--json").json
    assert (7, 5) == (up["answering"], up["quorum"])
    sojourn.write("rules.cedar", "permit (principal, action, resource);")
    sojourn.write(
        "idle.py",
        "from sojourn import Agent\n\n\nclass Idle(Agent):\n    async def run(self, ctx):\n        return None\n",
    )
    sojourn.write("idle.toml", _IDLE)
    for index in (0, 6):
        sojourn.kill("home", "anchors", index)
    sojourn.good("agent", "launch", "idle.toml", "--zone", "home", "--name", "one")
    sojourn.kill("home", "anchors", 3)
    stalled = sojourn("agent", "launch", "idle.toml", "--zone", "home", "--name", "two")
    assert (5, True) == (stalled.code, "5 needed; anchor 0 does not answer" in stalled.line()), (
        stalled
    )


def test_an_anchor_ends_gracefully_and_is_ready_in_a_second(sojourn: Person) -> None:
    sojourn.zone("home", "--hosts", 0)
    sojourn.good("zone", "down", "home")
    log = sojourn.folder_of("home", "anchors", 0) / "anchor.log"
    events = [json.loads(line) for line in log.read_text().splitlines()]
    by_name = {event["event"]: event for event in events}
    assert {"ready", "listening", "stopping", "stopped"} <= by_name.keys()
    assert ("home", "anchor/0", "info") == tuple(
        by_name["ready"][name] for name in ("zone", "process", "level")
    )
    assert by_name["ready"]["after_ms"] < 1000
    assert "SIGTERM" == by_name["stopping"]["signal"]


def test_a_foreign_process_with_a_stale_number_is_left_alone(sojourn: Person) -> None:
    """A number in a pid file that no lock stands behind is history, whoever has it now."""
    sojourn.good("zone", "init", "home", "--local", 1, "--hosts", 0)
    folder = sojourn.folder_of("home", "anchors", 0)
    with subprocess.Popen(["sleep", "60"]) as bystander:
        (folder / "pid").write_text(f"{bystander.pid}\n")
        assert "nothing of home ran here" in sojourn.good("zone", "down", "home").text
        assert bystander.poll() is None
        bystander.kill()


def test_two_zones_meet_and_gossip_an_endorsement(sojourn: Person) -> None:
    sojourn.good("keys", "new", "acme")
    for name in ("a", "b"):
        sojourn.zone(name, "--hosts", 0)
    sojourn.write("b.manifest", "")
    (sojourn.folder / "b.manifest").write_bytes(sojourn.good("zone", "export", "b").out)
    told = sojourn.good("zone", "meet", "a", "b.manifest", "--json").json
    assert [("a", 1), ("b", 1)] == [(each["name"], each["took"]) for each in told]
    assert ["b"] == sojourn.good("zone", "status", "a", "--json").json["knows"]
    assert ["a"] == sojourn.good("zone", "status", "b", "--json").json["knows"]
    endorsed = sojourn.good("zone", "endorse", "b", "--level", 3, "--tell", "a", "--json").json
    assert [("a", 1)] == [(each["name"], each["took"]) for each in endorsed["told"]]


def test_zones_that_may_not_meet_are_told_why(sojourn: Person) -> None:
    sojourn.good("zone", "init", "a", "--local", 1)
    sojourn.good("zone", "init", "b", "--local", 1, "--realm", "production")
    assert "of realms 'test' and 'production'" in sojourn("zone", "meet", "a", "b").line()
    assert "is the manifest of a itself" in sojourn("zone", "meet", "a", "a").line()
    sojourn.good("zone", "init", "c", "--local", 1)
    silent = sojourn("zone", "meet", "a", "c")
    assert (5, True) == (silent.code, "nobody answers at" in silent.line())
    sojourn.good("keys", "new", "acme")
    nobody = sojourn("zone", "endorse", "a", "--level", 3)
    assert (1, True) == (nobody.code, "no zone could be told" in nobody.line())
    assert 2 == sojourn("zone", "endorse", "a", "--level", 11).code
    past = sojourn("zone", "endorse", "a", "--level", 3, "--until", "2001-01-01")
    assert "would be over already" in past.line()


# --- wrong surroundings: one clear line each ---------------------------------------------------------


def run_anchor(sojourn: Person, folder: Path) -> str:
    done = sojourn("anchor", "run", folder)
    assert 2 == done.code, done
    last = done.err.strip().splitlines()[-1]
    assert last.startswith("sojourn: ")
    return last


def test_a_port_in_use_a_second_process_and_a_locked_store(sojourn: Person) -> None:
    sojourn.zone("home", "--hosts", 0)
    folder = sojourn.folder_of("home", "anchors", 0)
    pid = running(folder)
    assert f"process {pid} serves" in run_anchor(sojourn, folder)
    moved = folder.with_name("moved")
    folder.rename(moved)
    folder.mkdir()
    for name in ("anchor.toml", "identity.key", "vote.key", "manifest"):
        (folder / name).write_bytes((moved / name).read_bytes())
        (folder / name).chmod(0o600)
    assert "has lost its store" in run_anchor(sojourn, folder)
    (folder / "store").symlink_to(moved / "store")
    assert f"is already in use by process {pid}" in run_anchor(sojourn, folder)
    (folder / "store").unlink()
    (moved / "store").rename(moved / "aside")
    shutil.copytree(moved / "aside", folder / "store")
    assert "is in use. Stop the process that listens there" in run_anchor(sojourn, folder)
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    until(lambda: running(moved) is None, "the end")


def test_keys_and_files_that_are_wrong_are_said_so_by_up(sojourn: Person) -> None:
    sojourn.good("zone", "init", "home", "--local", 1)
    key = sojourn.folder_of("home", "anchors", 0) / "identity.key"
    key.chmod(0o644)
    loose = sojourn("zone", "up", "home")
    assert (1, True) == (loose.code, "others may read the private key" in loose.line())
    key.chmod(0o600)
    sojourn.good("zone", "down", "home")
    offer = sojourn.folder_of("home", "hosts", 0) / "offer.toml"
    good = offer.read_text()
    offer.write_text(good.replace("slots = 64", "slots = -1"))
    assert "offer.toml: Expected `int` >= 0: `slots`" in sojourn("zone", "up", "home").line()
    offer.write_text(good)
    sojourn.good("zone", "up", "home")


def running_in(sojourn: Person) -> dict[str, int]:
    """Return the processes of the zone "home" by name, also those that do not hold their folders yet."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            folder = Path(file.read_bytes().decode().rstrip("\0").rpartition("\0")[2])
        except OSError:
            continue  # it has ended
        if folder.is_relative_to(sojourn.home / "zones" / "home"):
            found[f"{folder.parent.name}/{folder.name}"] = int(file.parent.name)
    return found


def test_a_zone_that_fails_to_come_up_leaves_nothing_behind(sojourn: Person) -> None:
    """Whoever listens at the port of one anchor is told of; what ran before, or is kept, is left alone."""
    sojourn.good("zone", "init", "home", "--local", 4, "--hosts", 1)
    taken = AnchorFolder(sojourn.folder_of("home", "anchors", 2)).listen.port
    with socket.create_server(("127.0.0.1", taken)):
        failed = sojourn("zone", "up", "home")
        assert (1, {}) == (failed.code, running_in(sojourn))
        assert f"anchor 2 ended at its start (exit code 2): port {taken} on" in failed.line()
        assert "Of what was started the" in failed.line()
        kept = sojourn("zone", "up", "home", "--keep")
        assert (1, True) == (kept.code, "All others answer" in kept.line())
        others = running_in(sojourn)
        assert {"anchors/0", "anchors/1", "anchors/3", "hosts/0"} == others.keys()
        assert 1 == sojourn("zone", "up", "home").code
        assert others == running_in(sojourn)
    up = sojourn.good("zone", "up", "home", "--json").json
    assert (4, 1) == (up["answering"], len(up["hosts"]))
    assert others == {n: pid for n, pid in running_in(sojourn).items() if n in others}


def test_a_zone_that_does_not_answer_in_time_is_not_half_there(sojourn: Person) -> None:
    """What ran before and stands still is left alone; what was started beside it is ended."""
    sojourn.zone("home", "--hosts", 1)
    key = sojourn.folder_of("home", "hosts", 0) / "host.key"
    before = running_in(sojourn)
    sojourn.kill("home", "hosts", 0)
    os.kill(before["anchors/0"], signal.SIGSTOP)
    try:
        late = sojourn("zone", "up", "home", "--timeout", 3)
        assert (1, {"anchors/0": before["anchors/0"]}) == (late.code, running_in(sojourn))
        assert "anchor 0 of home did not answer within 3 s" in late.line()
    finally:
        os.kill(before["anchors/0"], signal.SIGCONT)
    sojourn.good("zone", "up", "home")
    sojourn.good("zone", "down", "home")
    until(lambda: not running_in(sojourn), "the end of all")
    key.chmod(0o644)
    assert "others may read the private key" in sojourn("zone", "up", "home").line()
    assert {} == running_in(sojourn)


def test_an_offer_that_changes_is_stated_anew_and_a_wrong_one_is_not(sojourn: Person) -> None:
    sojourn.zone("home", "--price", "0.1")
    offer = sojourn.folder_of("home", "hosts", 0) / "offer.toml"

    def price() -> int:
        status = sojourn.good("zone", "status", "home", "--json").json
        return int(status["hosts"][0]["price_micros"])

    assert 100_000 == price()
    text = offer.read_text()
    offer.write_text("slots =")
    offer.write_text(text.replace("price_micros = 100000", "price_micros = 50000"))
    until(lambda: 50_000 == price(), "the new price")


def test_a_damaged_store_ends_the_process_with_its_own_code(sojourn: Person) -> None:
    sojourn.zone("home", "--hosts", 0)
    sojourn.good("zone", "down", "home")
    folder = sojourn.folder_of("home", "anchors", 0)
    [database] = (folder / "store").glob("*.sqlite")
    database.write_bytes(b"x" * database.stat().st_size)
    done = sojourn("anchor", "run", folder)
    assert 74 == done.code
    assert "is damaged" in done.err.strip().splitlines()[-1]


def _mounts() -> bool:
    """Whether a file system of a megabyte can be mounted here, for one process to see."""
    alone = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(alone, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


_ON_A_SMALL_DISK = """
cp -a store full && mount -t tmpfs -o size=1m none store && cp -a full/. store/
"$@" & anchor=$!
trap 'kill $anchor' TERM
while [ ! -e fill ]; do sleep 0.05; done
cat /dev/zero > store/ballast 2>/dev/null
wait $anchor
ended=$?
rm full/* && cp -a store/store.sqlite* full/
exit $ended
"""


def _sees_no_endorsement(sojourn: Person) -> bool:
    """Whether an anchor ends rather than keep what it is told of a place."""
    return sojourn("zone", "endorse", "home", "--level", 5).code != 0


@pytest.mark.skipif(not _mounts(), reason="no file system may be mounted here")
def test_a_full_disk_ends_the_process_by_name_and_loses_nothing(sojourn: Person) -> None:
    sojourn.zone("home", "--hosts", 0)
    sojourn.good("zone", "down", "home")
    folder = sojourn.folder_of("home", "anchors", 0)
    run = sojourn.command("anchor", "run", folder)
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", _ON_A_SMALL_DISK, "sh", *run]
    sojourn.good("keys", "new", "acme")
    with subprocess.Popen(command, cwd=folder, env=sojourn.env, stderr=subprocess.PIPE) as anchor:
        until(lambda: "decides" in sojourn("zone", "status", "home").text, "the anchor")
        (folder / "fill").touch()
        until(lambda: _sees_no_endorsement(sojourn), "the end of the room")
        _, said = anchor.communicate(timeout=20)
    assert 74 == anchor.returncode
    [last] = [line for line in said.decode().splitlines() if line.startswith("sojourn: ")]
    assert "the store " in last
    assert "its disk is full. Make room there and start the process again" in last
    shutil.rmtree(folder / "store")
    (folder / "full").rename(folder / "store")
    sojourn.good("zone", "up", "home")
    sojourn.good("zone", "endorse", "home", "--level", 5)
