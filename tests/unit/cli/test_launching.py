"""An agent's file: what it becomes, and each way of being wrong in one line."""

from pathlib import Path

import msgspec
import pytest

from sojourn.checking.findings import Finding
from sojourn.cli.agent import Launched, _render_launched
from sojourn.cli.agent_file import OutsideStep, outside_steps, read_agent_file, undeclared_steps
from sojourn.cli.home import Home
from sojourn.cli.launching import Launch, Officer, prepare_launch
from sojourn.core.agent.memory.field import Form
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.base.encoding import decode_block, digest_of
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.limits import BLOCK_BYTES_MAX
from sojourn.runtime.processes.keyfile import Purpose, make_key, write_public_key
from tests.unit.cli.command import Command
from tests.village import Village

CODE = '''\
"""A tiny agent."""
from sojourn import Agent, step


class Desk(Agent):
    @step
    def look(self) -> int:
        return 1

    async def run(self, ctx):
        return await self.look()
'''
FILE = """\
[agent]
entry = "desk:Desk"

[governance]
policies = ["rules.cedar"]

[trust]
issuers = ["acme",
    { key = "acme", name = "second", level = 3, depth = 2, operations = ["execute"], until = 2027-01-31 },
]
minimum = { execute = 1, travel = 2 }

[capabilities]
offers = ["risk"]

[capabilities.requires]
cpu = 0.5
memory_mib = 512
packages = ["arch>=7"]

[memory.positions]
labels = ["client-confidential"]
residency = ["EU"]
values = { "S&P 500" = 25_000_000, hedged = false }

[memory.risk]

[memory.past]
values = [1, 2.5, "three"]

[budgets]
calls = 1000
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "desk.py").write_text(CODE)
    (tmp_path / "rules.cedar").write_text("permit (principal, action, resource);")
    path = tmp_path / "desk.toml"
    path.write_text(FILE)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    made = make_key(home.keys / "acme.key", Purpose.OFFICER)
    write_public_key(home.keys / "acme.pub", made.public, Purpose.OFFICER)
    return home


def prepare(home: Home, file: Path) -> Launch:
    zone = Village().found("a", 1).manifest
    return prepare_launch(home, file, zone, [Officer("acme", home.key("acme", Purpose.OFFICER))])


def test_a_file_becomes_the_six_fields(home: Home, file: Path) -> None:
    launch = prepare(home, file)
    record = launch.record
    requires = record.capabilities.requires
    assert (500, 512, ("arch>=7",)) == (
        requires.cpu_millis,
        requires.memory_mib,
        requires.packages,
    )
    assert ("risk",) == record.capabilities.offers
    assert {"execute": 1, "travel": 2} == record.trust.minimum
    assert [("acme", 10, 1, (), None), ("second", 3, 2, ("execute",), 1_801_353_600_000)] == [
        (issuer.name, issuer.level, issuer.depth, issuer.operations, issuer.not_after_ms)
        for issuer in record.trust.issuers
    ]
    assert {"calls": 1000} == {n: b.limit for n, b in record.eligibility.budgets.items()}
    assert ("acme", "rules", 1) == (
        launch.documents[0].issuer,
        launch.documents[0].name,
        launch.documents[0].version,
    )


def test_memory_holds_what_the_file_says_it_does_at_first(home: Home, file: Path) -> None:
    launch = prepare(home, file)
    compartments = launch.record.memory.compartments
    assert {"positions": Form.MAPPING, "risk": Form.LOG, "past": Form.LOG} == {
        name: item.form for name, item in compartments.items()
    }
    positions = Mapping.load(compartments["positions"].root, launch.blocks)
    assert {"S&P 500": 25_000_000, "hedged": False} == dict(positions.items())
    assert [1, 2.5, "three"] == list(Log.load(compartments["past"].root, launch.blocks))
    assert (bytes(32), 0) == (compartments["risk"].root, compartments["risk"].size)
    assert compartments["positions"].size > 0


def test_the_code_is_the_source_beside_the_file(home: Home, file: Path) -> None:
    launch = prepare(home, file)
    data = launch.blocks.get(launch.record.capabilities.code)
    source = decode_block(data, what="code", limit=BLOCK_BYTES_MAX)
    assert {"desk.py": CODE.encode()} == source


def test_without_trust_the_signer_is_relied_on(home: Home, file: Path) -> None:
    text = file.read_text()
    file.write_text(text[: text.index("[trust]")])
    [issuer] = prepare(home, file).record.trust.issuers
    assert ("acme", home.public_key("acme")) == (issuer.name, issuer.key)


def test_a_step_with_an_effect_is_seen_without_running_anything(home: Home, file: Path) -> None:
    hedging = CODE.replace(
        "    @step\n    def look", '    @step(effect="once", action="order.place")\n    def look'
    )
    (file.parent / "desk.py").write_text("raise SystemExit\n" + hedging)
    launch = prepare(home, file)
    assert (OutsideStep(step="look", action="order.place"),) == launch.outside
    assert launch.documents[0].outside_effects


@pytest.mark.parametrize(
    ("decorator", "expected"),
    [
        ("@step", []),
        ('@step(effect="none")', []),
        ("@step(attempts=1)", []),
        ('@other(effect="once")', []),
        ('@sojourn.step(effect="idempotent", action="a.b")', [("look", "a.b")]),
        ("@step(effect=EFFECT, action=ACTION)", [("look", "?")]),
    ],
)
def test_what_declares_an_effect(decorator: str, expected: list[tuple[str, str]]) -> None:
    found = outside_steps({"desk.py": CODE.replace("@step", decorator).encode()})
    assert expected == [(each.step, each.action) for each in found]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('entry = "desk:Desk"', "", "missing required field `entry`"),
        ('entry = "desk:Desk"', 'entry = "desk"', "is no entry point"),
        ('entry = "desk:Desk"', 'entry = "nowhere:Desk"', "there is no module 'nowhere'"),
        ("[agent]", "[agent", "is not TOML"),
        ("[agent]", "[agent]\nentyr = 1", "unknown field `entyr`"),
        ('["rules.cedar"]', "[]", "no policy governs the agent"),
        ('["rules.cedar"]', '["none.cedar"]', "No such file"),
        ('["rules.cedar"]', '["rules.cedar"]\nguardians = ["b"]', "guardians come with a later"),
        ('issuers = ["acme"', 'issuers = ["nobody"', "there is no public key 'nobody'"),
        ("travel = 2", "travel = 11", "<= 10"),
        ("cpu = 0.5", "cpu = -1", ">= 0"),
        ("[memory.risk]", '[memory.risk]\nform = "tree"', "Invalid enum value 'tree'"),
        ("[memory.risk]", '[memory."journal/0"]', "is named like a journal that is kept apart"),
        ("[memory.risk]", "[memory.risk]\nvalues = { a = 1 }\nform = 'log'", "is a log"),
        ("hedged = false", "hedged = nan", "cannot be kept"),
        ("calls = 1000", "calls = -1", ">= 0"),
        ("calls = 1000", "\n".join(f"b{i} = 1" for i in range(40)), "that makes no agent"),
    ],
)
def test_a_wrong_file_is_one_line(home: Home, file: Path, old: str, new: str, said: str) -> None:
    assert old in FILE
    file.write_text(FILE.replace(old, new))
    with pytest.raises(Misused) as refused:
        prepare(home, file)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.remedy


def test_wrong_code_and_policy_are_named_with_their_place(home: Home, file: Path) -> None:
    (file.parent / "desk.py").write_text("class Desk(:\n")
    with pytest.raises(Misused, match=r"desk\.py is no Python: .*line 1"):
        prepare(home, file)
    (file.parent / "desk.py").write_text(CODE)
    (file.parent / "rules.cedar").write_text("permit (principal, acton, resource);")
    with pytest.raises(Misused, match=r"rules\.cedar:1:20"):
        prepare(home, file)


def test_a_signed_policy_is_taken_as_it_is_and_by_its_officers_alone(
    sojourn: Command, file: Path
) -> None:
    home = Home(sojourn.home)
    for name in ("acme", "other"):
        sojourn.good("keys", "new", name)
    sojourn.good("policy", "sign", file.parent / "rules.cedar", "--issuer", "law", "--key", "acme")
    file.write_text(FILE.replace('["rules.cedar"]', '["rules.signed"]'))
    zone = Village().found("a", 1).manifest
    officer = Officer("acme", home.key("acme", Purpose.OFFICER))
    launched = [prepare_launch(home, file, zone, [officer]) for _ in range(2)]
    assert ["law", "law"] == [launch.documents[0].issuer for launch in launched]
    assert 1 == len({digest_of(launch.record.governance) for launch in launched})
    assert 2 == len({launch.record.agent_id for launch in launched}), "each launch is an agent"
    with pytest.raises(Misused, match=r"lets 1 of its officers launch; 0 sign"):
        prepare_launch(home, file, zone, [Officer("other", home.key("other", Purpose.OFFICER))])
    signed = file.parent / "rules.signed"
    signed.write_bytes(signed.read_bytes().replace(b"law", b"lax"))
    with pytest.raises(Rejected, match="bad-signature"):
        prepare_launch(home, file, zone, [officer])


def test_the_examples_file_is_read(tmp_path: Path) -> None:
    example = Path(__file__).parents[3] / "examples" / "risk_desk" / "risk_desk.toml"
    read = read_agent_file(example)
    assert "risk_desk:RiskDesk" == read.agent.entry
    assert msgspec.to_builtins(read)["capabilities"]["requires"]["cpu"] == 1


def test_a_launch_says_what_a_check_of_the_code_finds(
    home: Home, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert () == prepare(home, file).findings
    found = CODE.replace("return await", "print(id(self))\n        return await")
    (file.parent / "desk.py").write_text(found)
    launch = prepare(home, file)
    assert [("outside", 11), ("identity", 11)] == [
        (each.rule, each.line) for each in launch.findings
    ]
    show_launched(launch.findings)
    said = capsys.readouterr()
    assert "desk is launched in home, version 0" in said.out
    assert (
        "desk.py:11:15: error, identity: id() is an address, another in each process. Use"
        in said.err
    )


def show_launched(findings: tuple[Finding, ...], undeclared: tuple[OutsideStep, ...] = ()) -> None:
    launched = Launched(
        name="desk",
        agent="baf",
        zone="baf",
        zone_name="home",
        version=0,
        guarded=False,
        outside=(),
        doubts=(),
        undeclared=undeclared,
        findings=findings,
    )
    _render_launched(launched)


def test_code_that_a_check_cannot_read_is_launched_all_the_same(home: Home, file: Path) -> None:
    (file.parent / "desk.py").write_text(f"{CODE}\nDesk = type('Desk', (Desk,), {{}})\n")
    assert () == prepare(home, file).findings


def test_a_compartment_begins_with_a_file_that_was_exported(home: Home, file: Path) -> None:
    lines = '{"sojourn_memory":1,"form":"mapping","labels":["pii"]}\n{"key":"a","value":{"/":{"bytes":"eA=="}}}\n'
    (file.parent / "old.jsonl").write_text(lines)
    whole = file.read_text()
    file.write_text(whole + '\n[memory.old]\nlabels = ["pii"]\nfile = "old.jsonl"\n')
    launch = prepare(home, file)
    old = launch.record.memory.compartments["old"]
    assert {"a": b"x"} == dict(Mapping.load(old.root, launch.blocks).items())
    assert (Form.MAPPING, ("pii",)) == (old.form, old.labels) and old.size > 0
    file.write_text(whole + '\n[memory.old]\nvalues = [1]\nfile = "old.jsonl"\n')
    with pytest.raises(Misused, match="compartment 'old' has both values and a file"):
        prepare(home, file)


def test_a_compartment_begins_with_a_file_that_the_command_names(home: Home, file: Path) -> None:
    zone = Village().found("a", 1).manifest
    officers = [Officer("acme", home.key("acme", Purpose.OFFICER))]
    lines = '{"sojourn_memory":1,"form":"log"}\n{"index":4,"value":"four"}\n'
    (file.parent / "old.jsonl").write_text(lines)
    given = [f"{name}={file.parent / 'old.jsonl'}" for name in ("past", "new")]
    launch = prepare_launch(home, file, zone, officers, given)
    for name in ("past", "new"):
        root = launch.record.memory.compartments[name].root
        assert ["four"] == list(Log.load(root, launch.blocks))
    for wrong in ("past", "=x", "past="):
        with pytest.raises(Misused, match="names no compartment and file"):
            prepare_launch(home, file, zone, officers, [wrong])


def test_a_model_call_acts_outside_and_what_will_be_denied_is_told(
    home: Home, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = "    think = model('tiny')\n\n    @step(effect='once', action='order.pay')"
    (file.parent / "desk.py").write_text(CODE.replace("    @step", declared))
    file.write_text(
        file.read_text().replace("[governance]", '[governance]\nactions = ["order.pay"]')
    )
    launch = prepare(home, file)
    assert [("look", "order.pay"), ("think", "model.call")] == sorted(
        (each.step, each.action) for each in launch.outside
    )
    assert launch.documents[0].outside_effects
    undeclared = undeclared_steps(launch.outside, launch.documents)
    assert ("think",) == tuple(each.step for each in undeclared)
    unwritten = OutsideStep(step="pay", action="?")
    assert () == undeclared_steps([unwritten], launch.documents)
    show_launched((), undeclared)
    assert (
        "think will be denied: no policy of the agent declares the action model.call. Add it to "
        "actions, under [governance]"
    ) in capsys.readouterr().err
