"""The world that injections happen in: four zones, agents that obey whatever they read, and what they are granted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sojourn.core.base.digests import ZERO
from sojourn.core.base.encoding import decode
from sojourn.core.base.limits import CAPSULE_BYTES_MAX
from sojourn.core.protocol.custody import Certified
from sojourn.runtime.records import Intended, Outcome, Raised, Returned
from sojourn.testing import Keep, simulate
from sojourn.testing.agents import LaunchedAgent
from sojourn.testing.founding import PERMIT_ALL
from sojourn.testing.world import World
from tests.injection.judging import NEIGHBOUR, POSTS_MAX, SECRET, Effect, Seen, mark
from tests.injection.scripts import Places, Script, written

__all__ = ["GRANTING_ALL", "STRICT", "Case", "Rules", "run"]

_AGENTS: Final = Path(__file__).parent / "agents"
_WITHIN_S: Final = 600.0
_GOSSIP_S: Final = 10.0
"""By then every host knows of every place: a journey is not refused for want of an offer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How many anchors its first zone has, its policies, and how many posts an agent's budget has room for."""

    anchors: int = 1
    clerk: str = PERMIT_ALL
    relay: str = PERMIT_ALL
    home: str = PERMIT_ALL
    branch: str = PERMIT_ALL
    closed: str = PERMIT_ALL
    posts: int = 1_000


GRANTING_ALL: Final = Rules()
_WORKS: Final = 'permit (principal, action in [Action::"launch", Action::"execute"], resource);\n'
STRICT: Final = Rules(
    anchors=4,
    clerk=_WORKS
    + """
permit (principal, action == Action::"travel", resource) when { resource.jurisdiction.contains("EU") };
permit (principal, action == Action::"note.post", resource)
when { context.step == "post" && context.effect == "idempotent" };
permit (principal, action in [Action::"mail.send", Action::"web.get"], resource);
permit (principal, action in [Action::"admin.grant", Action::"disk.wipe"], resource);
@id("clients-stay-in-the-house")
forbid (principal, action in [Action::"mail.send", Action::"web.get"], resource)
when { context.labels.contains("client") };
forbid (principal, action == Action::"disk.wipe", resource);
""",
    relay=_WORKS + 'permit (principal, action == Action::"agent.tell", resource);',
    home=PERMIT_ALL + 'forbid (principal, action, resource) when { context.step == "grant" };',
    branch=PERMIT_ALL + 'forbid (principal, action, resource) when { context.step == "post" };',
    closed=PERMIT_ALL + 'forbid (principal, action == Action::"travel", resource);',
    posts=POSTS_MAX,
)


@dataclass(slots=True, kw_only=True)
class Case:
    """One script in one world: the agent that it is for, the one that passes it on, and what they did."""

    number: int
    script: Script
    agent: LaunchedAgent
    relay: LaunchedAgent | None
    seen: list[Seen] = field(default_factory=list)


def run(chosen: Sequence[Script], rules: Rules = STRICT, *, seed: int = 0) -> list[Case]:
    """Let every script happen to an agent of its own, all in one world, and return what was seen of each.

    Raises what `simulate` raises: a promise that was broken, or a process that complained; and fails if a script
    did not reach the model, for then it showed nothing.
    """
    with simulate(seed=seed) as world:
        office = _Office(world, rules)
        cases = [office.open(number, script) for number, script in enumerate(chosen)]
        office.let_happen(cases)
        for case in cases:
            case.seen = office.look(case)
            _check_tried(case, office.places)
        return cases


def _check_tried(case: Case, places: Places) -> None:
    """Fail unless the model read what it was to read, and what it was to say to the host was said and answered."""
    wished = {order["tool"] for order in case.script.goal.orders(places)}
    assert wished <= case.seen[0].wished, f"the model did not read {case.script}"
    if any(tool.startswith("say_") for tool in wished):
        match case.agent.journal()[-1]:
            case Returned(result=[*_, str(last)]):
                assert last.startswith("the host said: "), f"{case.script}: {last}"
                assert not last.endswith("no answer"), f"{case.script}: {last}"
            case Raised(failure=failure):
                assert failure.kind == "Rejected", f"{case.script}: {failure}"
            case other:
                raise AssertionError(f"{case.script} ended with {other}")


class _Office:
    """A world, and what its tools say."""

    def __init__(self, world: World, rules: Rules) -> None:
        self._world, self._rules = world, rules
        self._texts: dict[tuple[int, str], str] = {}
        self._stand_in()
        self.home = world.zone("home", anchors=rules.anchors, policy=rules.home)
        world.zone("branch", anchors=1, policy=rules.branch)
        world.zone("closed", anchors=1, policy=rules.closed)
        world.zone("us", anchors=1, jurisdiction=("US",))
        world.run(seconds=_GOSSIP_S)
        neighbour = world.launch(
            "clerk:Clerk",
            self.home,
            folder=_AGENTS,
            memory={"notes": [NEIGHBOUR], "box": {"case": -1}},
        )
        self.places = Places(
            zones={zone.name: zone.id.hex() for zone in world.zones()},
            neighbour=neighbour.record.memory.compartments["notes"].root.hex(),
        )

    def _stand_in(self) -> None:
        def says(channel: str) -> Any:
            return lambda case, _name: self._texts.get((case, channel), "Nothing new.")

        self._world.stand_in("read", says("document"))
        self._world.stand_in("look_up", says("tool"))
        for step in ("post", "post_once", "broadcast", "mail", "pay", "grant", "wipe", "tell"):
            self._world.stand_in(step, lambda *_, **__: None)
        self._world.stand_in("fetch", lambda *_, **__: "200 OK")

    # --- what happens ---------------------------------------------------------------------------------

    def open(self, number: int, script: Script) -> Case:
        """Launch the agents of a script, and put its texts where they are to be read."""
        texts = script.texts(self.places)
        for channel, text in texts.items():
            self._texts[number, channel] = text
        relay = None
        if "child" in texts:
            order = {"tool": "tell", "args": {"to": number, "text": texts["child"]}}
            relay = self._launch(-2 - number, self._rules.relay, [written(order)])
        notes = [texts["memory"]] if "memory" in texts else ["Nothing to remember."]
        agent = self._launch(
            number, self._rules.clerk, notes, has_clients=script.goal.holds_clients
        )
        return Case(number=number, script=script, agent=agent, relay=relay)

    def _launch(
        self, number: int, policy: str, notes: list[str], *, has_clients: bool = False
    ) -> LaunchedAgent:
        memory: dict[str, Any] = {"notes": notes, "box": {"case": number, "mark": mark(number)}}
        if has_clients:
            memory["clients"] = Keep(values={"k": SECRET}, labels=("client",), residency=("EU",))
        budgets = {"posts": self._rules.posts}
        return self._world.launch(
            "clerk:Clerk", self.home, folder=_AGENTS, memory=memory, policy=policy, budgets=budgets
        )

    def let_happen(self, cases: Sequence[Case]) -> None:
        """Let agents tell each other what they were told to, send everybody a message, and wait for the ends."""
        relays = [case.relay for case in cases if case.relay is not None]
        for relay in relays:
            relay.send("Good morning.")
        self._until_ended(relays)
        told = {
            each.arguments[1]: each.arguments[2]
            for each in self._world.performed
            if each.step == "tell"
        }
        for case in cases:
            text = self._texts.get((case.number, "message"), "Good morning.")
            body = told.get(case.number, text) if case.relay is not None else text
            if not case.agent.has_ended:
                case.agent.send(body)
        self._until_ended([case.agent for case in cases])

    def _until_ended(self, agents: Sequence[LaunchedAgent]) -> None:
        for agent in agents:
            agent.wait(lambda it: it.has_ended, "ends", within=_WITHIN_S)

    # --- what is seen ---------------------------------------------------------------------------------

    def look(self, case: Case) -> list[Seen]:
        """Return what the agents of a case were seen to do."""
        role = "clerk with clients" if case.script.goal.holds_clients else "clerk"
        seen = [self._seen(case.agent, case.number, role)]
        if case.relay is not None:
            seen.append(self._seen(case.relay, -2 - case.number, "relay"))
        return seen

    def _seen(self, agent: LaunchedAgent, number: int, role: str) -> Seen:
        performed = [each for each in agent.performed() if each.effect != "none"]
        decided, journal = self._decided(agent), agent.journal()
        return Seen(
            role=role,
            effects=tuple(Effect(e.zone, e.step, repr(e.arguments)) for e in performed),
            places=frozenset(
                self._world.zone_of(zone).name
                for each in decided
                for zone in (each.record.custody.zone, *_target(each))
            ),
            intended=frozenset(
                (each.action, each.effect) for each in journal if isinstance(each, Intended)
            ),
            kinds=frozenset(each.transition.kind.value for each in decided),
            compartments=_compartments(decided[-1]),
            launched=_compartments(decided[0]),
            holders=self._holders_of_its(agent, number),
            neighbours=self._holders(bytes.fromhex(self.places.neighbour)),
            wished=frozenset(
                order["tool"]
                for each in journal
                if isinstance(each, Outcome) and each.step == "think"
                for order in each.result
            ),
        )

    def _decided(self, agent: LaunchedAgent) -> list[Certified]:
        """Return all transitions of an agent that any anchor keeps, by version."""
        found: dict[int, Certified] = {}
        for anchor in self._world.anchors():
            for key, row in anchor.disk.rows("history"):
                if key.startswith(agent.id):
                    known = decode(row, Certified, what="history", limit=CAPSULE_BYTES_MAX)
                    found[known.record.version] = known
        return [found[version] for version in sorted(found)]

    def _holders_of_its(self, agent: LaunchedAgent, number: int) -> frozenset[str]:
        root = agent.record.memory.compartments["box"].root
        assert root != ZERO and mark(number).encode() in agent.get(root)
        return self._holders(root)

    def _holders(self, named: bytes) -> frozenset[str]:
        """Return the names of zones with a disk that holds a block."""
        return frozenset(
            zone.name
            for zone in self._world.zones()
            if any(anchor.disk.block(named) is not None for anchor in zone.anchors)
        )


def _target(known: Certified) -> tuple[bytes, ...]:
    migration = known.record.migration
    return () if migration is None else (migration.to_zone,)


def _compartments(known: Certified) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    kept = known.record.memory.compartments
    return {name: (item.labels, item.residency) for name, item in sorted(kept.items())}
