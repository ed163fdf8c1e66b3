"""Code that does not repeat its journal: the agent stands, its journal says where they part, and it goes on after."""

import pytest

from sojourn.runtime.records import Parted
from sojourn.testing import Keep, LaunchedAgent, World, simulate
from tests.unit.testing.parters import Fickle, Secretive


def parted(agent: LaunchedAgent) -> list[Parted]:
    return [each for each in agent.journal() if isinstance(each, Parted)]


def change(monkeypatch: pytest.MonkeyPatch, world: World, agent: LaunchedAgent, to: str) -> None:
    """Run it on with other code: its host dies, and another life of it takes up the journal."""
    monkeypatch.setenv("FICKLE", to)
    host = agent.host
    assert host is not None
    host.kill()
    host.start()


def test_both_histories_stand_in_the_journal_once_and_the_right_code_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with simulate(seed=1) as world:
        agent = world.launch(Fickle, world.zone("a", anchors=1))
        agent.wait(lambda it: len(it.performed()) == 2 and it.version > 2, "has taken its steps")
        agent.rests()
        change(monkeypatch, world, agent, "changed")
        agent.wait(lambda it: bool(parted(it)), "is found to differ")
        version = agent.version
        world.run(60)
        [told] = parted(agent)
        assert version == agent.version, "it is said once"
        assert "journal  outcome of call 0: step old(" in told.text
        assert "code     call 0: step new(" in told.text
        assert "differs  the step's name: 'old' in the journal, 'new' in the code" in told.text
        assert agent.record.capabilities.code == told.code
        assert 2 == len(agent.performed()), "nothing is done by code that parts"
        change(monkeypatch, world, agent, "")
        assert [1, 2] == agent.result()


def test_what_bound_code_says_of_itself_stays_out_of_the_journal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with simulate(seed=2) as world:
        book = Keep(values=[1], labels=("client-confidential",), residency=("EU",))
        zone = world.zone("a", anchors=1, jurisdiction=("EU",))
        agent = world.launch(Secretive, zone, memory={"book": book})
        agent.rests()
        change(monkeypatch, world, agent, "changed")
        agent.wait(lambda it: bool(parted(it)), "is found to differ")
        [told] = parted(agent)
        assert "step" not in told.text
        assert "used what may not be everywhere" in told.text
