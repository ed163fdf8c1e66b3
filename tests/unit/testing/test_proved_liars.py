"""An anchor that tells one this and another that is convicted by itself, in whole worlds (protocol §11.7)."""

import random
from collections.abc import Callable

import pytest

from sojourn.anchor.server import Anchor
from sojourn.core.agent.events import Events
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import GOSSIP_ROUND_MS
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.messages import Nack, Propose, Reply, Request, Voted
from sojourn.core.quorum.votes import Ballot, Phase, Vote
from sojourn.core.zone.manifest import SignedManifest
from sojourn.runtime.clients.zone_client import Connections
from sojourn.runtime.share_keep import ShareKeep
from sojourn.runtime.store import Store
from sojourn.testing import LaunchedAgent, World, Zone, simulate
from sojourn.testing.processes import AnchorProcess
from tests.unit.testing.workers import Nomad, Payer

ROUND_S = 1.2 * GOSSIP_ROUND_MS / 1000
TURNS = 60


class TwoFaced(Anchor):
    """An anchor that votes for whatever it is asked to vote for, whatever it has voted for before."""

    def __init__(
        self,
        manifest: SignedManifest,
        index: int,
        identity: KeyPair,
        vote_key: KeyPair,
        store: Store,
        connections: Connections,
        chance: random.Random | None = None,
        shares: ShareKeep | None = None,
    ) -> None:
        super().__init__(manifest, index, identity, vote_key, store, connections, chance, shares)
        self._vote_key = vote_key

    async def decide(self, request: Request, sender: bytes) -> Reply:
        honest = await super().decide(request, sender)
        if not (isinstance(request, Propose) and isinstance(honest, Nack)):
            return honest
        ballot = Ballot(
            slot=request.slot,
            round=request.round,
            phase=Phase.LOCK,
            value=request.proposal.transition.digest,
            anchor=self.index,
            counter=self.votes_cast,
        )
        covered = statement(Kind.VOTE, Role.ANCHOR, digest_of(ballot))
        signature = self._vote_key.sign(covered)
        seal = Seal(signer=self._vote_key.public, signature=signature)
        return Voted(vote=Vote(ballot=ballot, seal=seal))


def holds(anchor: AnchorProcess) -> bool:
    return bool(anchor.disk.rows("proof"))


def honest(*zones: Zone) -> list[AnchorProcess]:
    return [anchor for zone in zones for anchor in zone.anchors if anchor.is_honest]


def payer(world: World, zone: Zone) -> LaunchedAgent:
    plan = {"turns": TURNS, "pace_s": 0.05}
    memory = {"plan": plan, "unsure": None, "done": None}
    return world.launch(Payer, zone, memory=memory, budgets={"steps": 1_000})


def contend(world: World, agent: LaunchedAgent, until: Callable[[], bool] = lambda: False) -> bool:
    """Grant an agent more while it works, until something is so: each order competes with what it does."""
    for _ in range(20):
        world.order(agent, "grant", grants={"steps": 1})
        if until():
            return True
    return False


@pytest.mark.parametrize("seed", range(2))
def test_section_11_who_votes_for_two_values_is_known_everywhere_within_a_round(seed: int) -> None:
    with simulate(seed=seed) as world:
        a, c = world.zone("a"), world.zone("c")
        b = world.zone("b", make_anchor={0: TwoFaced})
        at_work = payer(world, b)
        elsewhere = world.launch(
            Nomad, a, memory={"plan": {"turns": TURNS, "pause_s": 0.2}, "sums": None}
        )
        assert contend(world, at_work, lambda: any(map(holds, honest(b))))
        began = world.now
        world.run_until(lambda: all(map(holds, honest(a, b, c))), "all hold it", ROUND_S)
        lied = {b.id.hex(): Events(liars=(0,), tolerated=1)}
        elsewhere.wait(lambda it: it.record.trust.events == lied, "counts it", ROUND_S)
        assert world.now - began < 2 * ROUND_S
        at_work.wait(lambda it: it.record.trust.events == lied, "counts it as well")
        assert not world.broken_promises()


def test_section_11_nobody_is_convicted_where_nobody_lies() -> None:
    with simulate(seed=3) as world:
        a, b = world.zone("a"), world.zone("b")
        at_work = payer(world, b)
        contend(world, at_work)
        world.run(3)
        assert not any(map(holds, honest(a, b)))
        assert {} == at_work.record.trust.events
