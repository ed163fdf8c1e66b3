"""Agents from a terminal: launched, run by a host, watched, sent a message, exported, moved, retired."""

import json
import signal
import subprocess
from pathlib import Path

from tests.system.person import Done, Person, until


def finished(sojourn: Person, name: str) -> bool:
    journal = sojourn.good("agent", "logs", name, "--json").json
    return bool(journal) and journal[-1]["kind"] in ("returned", "raised")


def test_an_agent_is_launched_runs_and_tells_what_it_did(agents: Person) -> None:
    agents.zone("home")
    agents.good("zone", "endorse", "home", "--level", 5)
    launched = agents.good("agent", "launch", "counter.toml", "--zone", "home", "--json").json
    assert ("counter", 0, [], []) == tuple(
        launched[field] for field in ("name", "version", "outside", "doubts")
    )

    events = [
        json.loads(line)
        for line in agents.good("agent", "watch", "counter", "--json").text.splitlines()
    ]
    kinds = [event["kind"] for event in events]
    assert ["genesis", "bind", "began"] == kinds[:3]
    assert "returned" in kinds
    assert "finished with 30" in events[kinds.index("returned")]["text"]

    journal = agents.good("agent", "logs", "counter").text
    assert "square gave 16" in journal
    assert "counted total=30" in journal
    followed = agents.good("agent", "logs", "counter", "--follow").text
    assert journal == followed

    shown = agents.agent("counter")
    assert ("dormant", "home", launched["agent"]) == tuple(
        shown[field] for field in ("status", "zone_name", "agent")
    )
    assert "its run has ended: it returned 30" == shown["stands"]
    [listed] = agents.good("agent", "list", "--zone", "home", "--json").json
    assert ("counter", "dormant", launched["agent"]) == tuple(
        listed[field] for field in ("name", "status", "agent")
    )

    exported = agents.good("agent", "export", "counter", "c.car", "--json").json
    verified = agents.good("capsule", "verify", "c.car", "--json").json
    assert launched["agent"] == verified["agent"]["agent"]
    assert (exported["blocks"], []) == (verified["blocks"], verified["left_behind"])
    assert "exists already" in agents("agent", "export", "counter", "c.car").line()

    take = ("agent", "memory", "export", "counter", "sums", "--to", "sums.jsonl")
    told = agents.good(*take, "--json").json
    lines = (agents.folder / "sums.jsonl").read_text().splitlines()
    assert ("sums", len(lines) - 1) == (told["compartment"], told["values"])
    assert "exists already" in agents(*take).line()
    again = ("agent", "launch", "counter.toml", "--zone", "home", "--name", "again")
    agents.good(*again, "--memory", "sums=sums.jsonl")
    until(lambda: finished(agents, "again"), "its end")

    retired = agents.good("agent", "retire", "counter", "--reason", "done", "--json").json
    assert ("retired", False) == (retired["status"], retired["before"])
    assert "retired already" in agents.good("agent", "retire", "counter").text
    assert "retired" == agents.agent("counter")["status"]


def test_an_agent_whose_steps_are_used_up_waits_until_it_is_granted_more(agents: Person) -> None:
    agents.zone("home")
    agents.good("zone", "endorse", "home", "--level", 5)
    file = agents.folder / "counter.toml"
    agents.write("counter.toml", f"{file.read_text()}\n[budgets]\nsteps = 3\ncalls = 1\n")
    agents.good("agent", "launch", "counter.toml", "--zone", "home")
    until(lambda: "dormant, steps used up" == agents.agent("counter")["status"], "the last step")
    assert {"limit": 3, "spent": 3, "left": 0} == agents.agent("counter")["budgets"]["steps"]
    text = agents.good("agent", "show", "counter").text
    assert "0 of 1 calls spent, 1 left; 3 of 3 steps spent, 0 left" in text
    assert "has no budget 'hops'" in agents("agent", "grant", "counter", "hops=+1").line()
    granted = agents.good("agent", "grant", "counter", "steps=+100", "--reason", "go on", "--json")
    assert 103 == granted.json["budgets"]["steps"]["limit"]
    until(lambda: finished(agents, "counter"), "its end")
    assert "finished with 30" in agents.good("agent", "logs", "counter").text
    assert "of 104 steps spent" in agents.good("agent", "grant", "counter", "steps=+1").text


def test_a_message_wakes_an_agent_and_an_anchor_and_a_host_may_die_meanwhile(
    agents: Person,
) -> None:
    agents.good("zone", "init", "home", "--local", 4, "--hosts", 1, "--lease-ms", 1000)
    agents.good("zone", "up", "home")
    agents.good("zone", "endorse", "home", "--level", 5)
    agents.good("keys", "new", "alice", "--purpose", "person")
    agents.good("agent", "launch", "asker.toml", "--zone", "home")
    until(lambda: agents.agent("asker")["binding"] == 1, "its binding")
    agents.kill("home", "anchors", 0)
    agents.kill("home", "hosts", 0)
    sent = agents.good("agent", "send", "asker", '{"hello": [1, 2.5, null]}', "--json").json
    assert 3 == sent["anchors"]
    agents.good("zone", "up", "home")
    until(lambda: finished(agents, "asker"), "its end")
    text = agents.good("agent", "logs", "asker").text
    assert '{"hello": [1, 2.5, null]}' in text
    assert "finished with 0" in text


def test_an_agent_moves_and_is_found_by_its_certificates(agents: Person) -> None:
    """It leaves what may not travel; its capsule says so; the address book is brought up to date."""
    agents.zone("a", "--jurisdiction", "EU", "--price", "0.2")
    agents.zone("b", "--jurisdiction", "US", "--price", "0.1")
    agents.good("zone", "meet", "a", "b")
    for name in ("a", "b"):
        agents.good("zone", "endorse", name, "--level", 5, "--tell", "a", "--tell", "b")

    def knows_the_price() -> bool:
        return 1 == len(agents.good("zone", "status", "b", "--json").json["hosts"])

    until(knows_the_price, "b's envelope")
    agents.good("agent", "launch", "mover.toml", "--zone", "a")
    events = agents.good("agent", "watch", "mover").text
    assert "considered 2 places, b is best" in events
    shown = agents.agent("mover")
    assert ("b", 1) == (shown["zone_name"], shown["term"])
    said = agents.good("agent", "show", "mover").text
    assert f"issuer        {shown['issuer']}, who is called {shown['issuer_name']}" in said
    held = {item["name"]: item["held_by"] for item in shown["memory"]}
    assert (None, agents.good("zone", "show", "a", "--json").json["zone"]) == (
        held["sums"],
        held["clients"],
    )

    def went_to_b() -> bool:
        """Tell whether the zone it left has heard by now where it was admitted."""
        [gone] = agents.good("agent", "list", "--zone", "a", "--json").json
        return "b" == gone["gone_to"]

    until(went_to_b, "where it went is known where it was")
    agents.good("agent", "export", "mover", "m.car")
    audited(agents, "mover")
    agents.good("zone", "down", "a")
    partly = json.loads(agents.good("audit", "mover", "--json", "-").text)
    assert [False, True] == [term["is_whole"] for term in partly["coverage"]], "a does not answer"
    agents.good("zone", "down", "b")
    assert 0 == agents("audit", "verify", "r.json", "--capsule", "r.car").code
    verified = agents.good("capsule", "verify", "m.car", "--json").json
    assert ["clients"] == verified["left_behind"]
    assert ["genesis", "depart", "admit"] == [e["kind"] for e in verified["itinerary"]][:3]
    assert "itinerary" in agents.good("capsule", "show", "m.car").text


def audited(agents: Person, name: str) -> None:
    """Report on an agent that has moved from a to b and was ordered about, where it is, with an exit drill."""
    agents.good("agent", "suspend", name, "--reason", "for the auditor")
    agents.good("agent", "resume", name)
    files = ("--json", "r.json", "--html", "r.html", "--capsule", "r.car")
    told = agents.good("audit", name, *files, "--exit-drill").text
    assert "exit drill" in told
    assert "verified: all " in agents.good("audit", "verify", "r.json", "--capsule", "r.car").text
    report = json.loads(agents.good("audit", "./r.car", "--json", "-").text)
    assert [True, True] == [term["is_whole"] for term in report["coverage"]]
    assert [("a", ["EU"]), ("b", ["US"])] == [
        (stay["zone_name"], stay["jurisdiction"]) for stay in report["stays"]
    ]
    assert ["suspend", "resume"] == [order["act"] for order in report["orders"]]
    assert [1, 1] == [len(order["signed_by"]) for order in report["orders"]]
    drilled = json.loads((agents.folder / "r.json").read_text())["drill"]
    assert ("b", [("a", True)]) == (
        drilled["zone_name"],
        [(place["name"], place["may_go"]) for place in drilled["places"]],
    )
    assert "<script" not in (agents.folder / "r.html").read_text()


def _heed_interrupts() -> None:
    """Whoever runs the tests in the background has told them to ignore interrupts, and so their children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_watch_ends_cleanly_when_it_is_interrupted(agents: Person) -> None:
    agents.zone("home")
    agents.good("agent", "launch", "asker.toml", "--zone", "home")
    command = agents.command("agent", "watch", "asker")
    with subprocess.Popen(
        command,
        env=agents.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_heed_interrupts,  # noqa: PLW1509 - the tests have no thread that forks beside this one
    ) as watch:
        assert watch.stdout is not None
        assert b"genesis" in watch.stdout.readline()
        watch.send_signal(signal.SIGINT)
        _, said = watch.communicate(timeout=10)
    assert (130, b"sojourn: interrupted") == (watch.returncode, said.strip())


# --- refused, denied, unreachable, forged ------------------------------------------------------------


def test_what_a_policy_denies_is_not_launched_and_says_why(agents: Person) -> None:
    agents.write(
        "zone.cedar",
        'forbid (principal, action == Action::"launch", resource);\npermit (principal, action, resource);',
    )
    agents.zone("strict", "--policy", "zone.cedar", "--hosts", 0)
    done = agents("agent", "launch", "counter.toml", "--zone", "strict")
    assert 3 == done.code
    assert "The zone's policy forbids it" in done.err
    assert "strict, line 1" in done.err
    assert not (agents.home / "agents").exists()


def test_an_agent_that_will_not_execute_yet_is_launched_with_the_reason(agents: Person) -> None:
    agents.zone("home")
    done = agents.good("agent", "launch", "counter.toml", "--zone", "home")
    assert "no issuer I know endorses this place" in done.err


def test_wrong_wishes_about_agents_are_one_line_each(agents: Person) -> None:
    agents.zone("home", "--hosts", 0)
    agents.good("agent", "launch", "counter.toml", "--zone", "home", "--name", "one")

    def wrong(*arguments: object) -> tuple[int, str]:
        done = agents(*arguments)
        return done.code, done.line()

    cases: list[tuple[tuple[object, ...], int, str]] = [
        (("agent", "launch", "none.toml", "--zone", "home"), 2, "No such file"),
        (("agent", "launch", "counter.toml", "--zone", "mars"), 2, "no zone 'mars' is known"),
        (("agent", "launch", "counter.toml"), 2, "Missing option '--zone'"),
        (("agent", "launch", "counter.toml", "--zone", "home", "--name", "one"), 2, "already"),
        (("agent", "launch", "counter.toml", "--zone", "home", "--key", "x"), 2, "no key 'x'"),
        (("agent", "show", "two"), 2, "no agent 'two' is in the address book"),
        (("agent", "send", "one", "{"), 2, "is no JSON"),
        (("agent", "send", "one", "1"), 2, "needs a key for person"),
        (("agent", "export", "one", "no/such/folder/x.car"), 2, "cannot be written"),
        (("agent", "memory", "export", "one", "no", "--to", "x"), 2, "no compartment 'no'"),
        (("agent", "memory", "export", "one", "sums", "--to", "no/x"), 2, "cannot be written"),
        (("agent", "memory", "export", "one", "sums"), 2, "Missing option '--to'"),
        (
            ("agent", "launch", "counter.toml", "--zone", "home", "--name", "b", "--memory", "x"),
            2,
            "names no compartment and file",
        ),
        (("capsule", "verify", "none.car"), 2, "cannot be read"),
        (("capsule", "verify", "counter.toml"), 4, "malformed: the capsule header"),
    ]
    for arguments, code, said in cases:
        found = wrong(*arguments)
        assert (code, True) == (found[0], said in found[1]), (arguments, found)
    agents.good("keys", "new", "thief")
    stolen = agents("agent", "retire", "one", "--key", "thief")
    assert (4, True) == (stolen.code, "is no officer of this issuer" in stolen.line())
    assert "active" == agents.agent("one")["status"]


def test_a_zone_that_does_not_answer_is_said_so_by_every_command(agents: Person) -> None:
    agents.zone("home", "--hosts", 0)
    agents.good("agent", "launch", "counter.toml", "--zone", "home")
    agents.good("zone", "down", "home")
    for command in ("show", "export", "retire", "logs", "watch", "list"):
        given = {"list": (), "export": ("counter", "x.car")}.get(command, ("counter",))
        done = agents("agent", command, *given)
        assert (5, True) == (done.code, "no anchor of home answers" in done.line()), command


def test_a_spoilt_capsule_is_rejected_with_its_place(agents: Person) -> None:
    agents.zone("home", "--hosts", 0)
    agents.good("agent", "launch", "counter.toml", "--zone", "home")
    agents.good("agent", "export", "counter", "c.car")
    file = agents.folder / "c.car"
    data = file.read_bytes()
    for name, spoilt in {
        "cut": data[:-7],
        "flipped": data[:-1] + bytes([data[-1] ^ 1]),
        "longer": data + data[-60:],
        "empty": b"",
    }.items():
        done = verify(agents, file.with_name(f"{name}.car"), spoilt)
        assert (4, True) == (done.code, "capsule, byte" in done.line()), name


def verify(agents: Person, file: Path, data: bytes) -> Done:
    file.write_bytes(data)
    return agents("capsule", "verify", file)
