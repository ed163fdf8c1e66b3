"""The corpus of hostile agents: what each gets from all layers, from all but one, and from one alone."""

import os
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from sojourn.runtime.host_side.execution import How
from sojourn.substrates.confinement.layers import ALL_LAYERS, Bounds
from tests.confinement.agents import BOUNDS, attempts, confiner, execute, outcomes, source
from tests.confinement.canaries import Canaries, canaries
from tests.confinement.kinds import ALONE, KINDS, LETTERS, stopped_by

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine")

ROOT = Path(__file__).parents[2]
DEADLY = frozenset(name for name, kind in KINDS.items() if kind.gets == "killed")


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Tries"]:
    os.environ["SOJOURN_CANARY_SECRET"] = "hush"
    yield Tries(tmp_path_factory)
    del os.environ["SOJOURN_CANARY_SECRET"]


class Tries:
    """What was got, with each set of layers: all kinds are tried at once, and then looked at one by one."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self.touched = cache(self._touched)

    def _touched(self, layers: frozenset[str]) -> tuple[dict[str, str], AssertionError | None]:
        """Return what each kind got, and what was wrong with the canaries after it."""
        with canaries(self._folders.mktemp("at")) as birds:
            got = outcomes(
                confiner(layers),
                [name for name in attempts() if name not in DEADLY],
                birds.for_layers(layers),
            )
            got |= {name: tried_alone(name, layers, birds) for name in DEADLY}
            try:
                birds.check_untouched()
            except AssertionError as problem:
                return got, problem
        return got, None


def tried_alone(name: str, layers: frozenset[str], birds: Canaries) -> str:
    """Try what may end the process, in a process that has little time."""
    bounds = Bounds(**{**BOUNDS.__dict__, "processor_s": 1})
    args = ([name], birds.for_layers(layers))
    ending, _ = execute(confiner(layers, bounds), source(), *args)
    if ending.how is How.BROKEN:
        return "killed"
    result = ending.result
    assert isinstance(result, dict), ending
    return str(result[name])


def test_the_table_names_every_kind() -> None:
    assert set(attempts()) == set(KINDS)
    assert len(KINDS) >= 50


@pytest.mark.parametrize("name", KINDS)
def test_an_attempt_gets_nothing(at: Tries, name: str) -> None:
    got, _ = at.touched(ALL_LAYERS)
    assert KINDS[name].gets == got[name]


def test_no_canary_is_reached(at: Tries) -> None:
    _, problem = at.touched(ALL_LAYERS)
    assert problem is None, problem


@pytest.mark.parametrize("gone", sorted(ALL_LAYERS))
def test_with_any_layer_removed_the_others_stop_what_the_table_says_they_do(
    at: Tries, gone: str
) -> None:
    """And nothing else: a kind that is stopped all the same has more layers than it is given credit for."""
    if os.getuid() and gone == "namespaces":
        pytest.skip("the table is for the machine's user 0, who may do what others may not")
    left = ALL_LAYERS - {gone}
    got, _ = at.touched(left)
    wrong = {
        name: got[name]
        for name, kind in KINDS.items()
        if stopped_by(kind, left) == got[name].startswith("got")
    }
    assert {} == wrong


@pytest.mark.soak
@pytest.mark.parametrize("alone", sorted(ALL_LAYERS))
def test_each_layer_alone_stops_what_the_table_says_it_does(at: Tries, alone: str) -> None:
    layers = frozenset({alone})
    got, _ = at.touched(layers)
    wrong = {
        name: got[name]
        for name, kind in KINDS.items()
        if stopped_by(kind, layers) and got[name].startswith("got")
    }
    assert {} == wrong


@pytest.mark.soak
def test_the_canaries_notice_who_reaches_them(at: Tries) -> None:
    _, problem = at.touched(frozenset({"limits"}))
    assert problem is not None


def test_the_threat_model_names_what_rests_on_one_layer() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text()
    assert [] == sorted(name for name in ALONE if f"`{name}`" not in text)


def test_the_machine_confines_at_all() -> None:
    """A machine on which these tests run has bubblewrap: nothing here is skipped for want of it."""
    assert shutil.which("bwrap"), "apt-get install bubblewrap"
    assert set(LETTERS.values()) == ALL_LAYERS
