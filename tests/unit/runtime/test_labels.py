"""What binds code that has used labelled memory: errors where the rule is broken, and what is kept apart (§10.14)."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.memory.blocks import links
from sojourn.core.agent.memory.field import Compartment, Form
from sojourn.core.base.digests import ZERO
from sojourn.core.base.errors import Misused
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.records import Apart, Denial, Intended, Line, Outcome, Returned
from tests.unit.runtime.custody import FakeCustodian, Zone, place
from tests.unit.runtime.executing import Stage, journal_of, on_stage
from tests.unit.runtime.labelled import content, labelled_zone, records_of, run_to_its_end


def desk(body: str, steps: str = "") -> str:
    """Return an agent whose `run` has this body; its lines are indented by 16."""
    return f"""
        class Desk(Agent):
            @step
            def work(self, x: object) -> object:
                return x

            @step(declassifies=("pii",), into="totals")
            def total(self, values: list[int]) -> int:
                return sum(values)

            @step(effect="once", action="order.place")
            def order(self, x: int) -> int:
                return x
            {steps}

            async def run(self, ctx):
                {body}
    """


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ('ctx.memory["clients"]["ann"]; ctx.memory["totals"].append(1)', "totals"),
        ('len(ctx.memory["secrets"]); ctx.memory["table"]["a"] = 1', "table"),
        ('"x" in ctx.memory["clients"]; ctx.memory["secrets"]["a"] = 1', "secrets"),
        ('ctx.memory["secrets"].get("x"); ctx.memory["clients"]["a"] = 1', "clients"),
        ('ctx.memory["clients"]["z"] = 1; ctx.memory["totals"].append(1)', "totals"),
        ('list(ctx.memory["secrets"]); ctx.memory["table"]["a"] = 1', "table"),
    ],
)
def test_section_10_14_what_was_used_is_not_written_where_less_binds_it(
    body: str, target: str
) -> None:
    zone = labelled_zone()
    before = zone.record.memory.compartments[target].root
    ending, _ = run_to_its_end(desk(body), zone)
    assert ending.how is How.RAISED
    assert ending.text.startswith(f"Denied: compartment {target!r} may not hold data labelled")
    assert zone.record.memory.compartments[target].root == before


def test_section_10_14_it_may_be_copied_to_where_as_much_binds_it() -> None:
    body = """ctx.memory["archive"].append(ctx.memory["clients"]["ann"])
                ctx.memory["secrets"]; ctx.memory["totals"]"""
    zone = labelled_zone()
    ending, _ = run_to_its_end(desk(body), zone)
    assert ending.how is How.RETURNED
    assert content(zone, "archive") == [5]


def test_section_10_14_what_was_written_before_stays_written() -> None:
    body = """ctx.memory["totals"].append(1)
                ctx.memory["table"]["a"] = 1
                ctx.memory["clients"]["ann"]
                await self.work(2)"""
    zone = labelled_zone()
    ending, _ = run_to_its_end(desk(body), zone)
    assert ending.how is How.RETURNED
    assert (content(zone, "totals"), content(zone, "table")) == ([1], {"a": 1})


def test_section_10_14_it_may_be_caught_and_the_agent_goes_on() -> None:
    body = """value = ctx.memory["clients"]["ann"]
                try:
                    ctx.memory["totals"].append(value)
                except Denied as error:
                    return str(error)"""
    ending, _ = run_to_its_end(desk(body))
    assert "may not hold data labelled pii, bound to EU, which run has used" in ending.result


def test_section_10_14_what_could_be_nowhere_together_is_not_used_together() -> None:
    ending, _ = run_to_its_end(desk('ctx.memory["clients"]["ann"]; len(ctx.memory["american"])'))
    assert ending.text.startswith("Denied: compartment 'american' and what was used before (client")


TURNS = desk("""seen = []
                async for turn in ctx.turns(range(3)):
                    if turn == 1:
                        seen.append(ctx.memory["clients"]["ann"])
                        await self.work(seen[-1])
                    else:
                        ctx.memory["totals"].append([turn, *seen])
                        await self.work(turn)""")


def test_section_10_14_a_turn_that_less_binds_begins_with_nothing_in_mind() -> None:
    zone = labelled_zone()
    ending, times = run_to_its_end(TURNS, zone)
    assert ending.how is How.RETURNED
    assert times == 1
    assert content(zone, "totals") == [[0], [2]]


COUNTING = """async for turn in ctx.turns(range(3)):
                    ctx.memory["secrets"][f"{turn}"] = turn
                    await self.work(turn)"""


def test_section_10_14_all_of_it_holds_for_code_in_a_process_of_its_own() -> None:
    zone = labelled_zone()
    ending, times = run_to_its_end(TURNS, zone, mode="process")
    assert (ending.how, times) == (How.RETURNED, 1)
    assert content(zone, "totals") == [[0], [2]]
    zone = labelled_zone()
    ending, _ = run_to_its_end(RELEASE, zone, mode="process")
    assert ending.result == 12
    assert content(zone, "totals") == [12]


def test_section_10_14_turns_that_are_bound_alike_go_on_at_once() -> None:
    bound = 'len(ctx.memory["secrets"])\n                ' + COUNTING
    assert run_to_its_end(desk(bound))[1] == 0
    assert run_to_its_end(desk(COUNTING))[1] == 3


def only(*names: str) -> Zone:
    """Return a zone with an agent that has no other compartments."""
    zone = labelled_zone()
    compartments = {name: zone.record.memory.compartments[name] for name in names}
    zone.record = replace(
        zone.record, memory=replace(zone.record.memory, compartments=compartments)
    )
    return zone


def test_section_10_14_so_do_turns_for_which_it_makes_no_difference() -> None:
    assert run_to_its_end(desk(COUNTING), only("secrets"))[1] == 0


@pytest.mark.parametrize("crash_at", range(16))
def test_section_10_14_what_was_denied_is_denied_again_in_a_replay(crash_at: int) -> None:
    body = """len(ctx.memory["clients"])
                async for turn in ctx.turns(range(2)):
                    if turn == 0:
                        len(ctx.memory["european"])
                    try:
                        await self.total([1])
                    except Denied as error:
                        await self.work("denied")
                    try:
                        await self.order(turn)
                    except UncertainOutcome:
                        pass
                return list(ctx.memory["totals"])"""
    shelf = Compartment(form=Form.LOG, root=ZERO, residency=("EU",))
    zone = labelled_zone(european=shelf)

    async def act(stage: Stage) -> Ending:
        custodian = FakeCustodian(zone, crash_at=crash_at)
        ending = await stage.execute_desk(desk(body), custodian=custodian)
        while ending is None or ending.how is How.ANEW:
            ending = await stage.execute_desk(desk(body))
        return ending

    ending = on_stage(act, zone=zone)
    assert ending.how is How.RETURNED, ending
    assert content(zone, "totals") == [1]


def test_section_10_14_a_run_that_begins_anew_is_bound_by_what_it_is_given() -> None:
    body = """if not given:
                    await ctx.restart(ctx.memory["secrets"]["ann"])
                try:
                    ctx.memory["totals"].append(given[0])
                except Denied as error:
                    return str(error)"""
    text = desk(body).replace("def run(self, ctx)", "def run(self, ctx, *given)")
    zone = labelled_zone()
    ending, times = run_to_its_end(text, zone)
    assert ending.result.startswith("compartment 'totals' may not hold data labelled secret")
    assert times == 0


def test_section_10_14_a_run_that_begins_anew_with_nothing_is_bound_by_nothing() -> None:
    body = """if not len(ctx.memory["table"]):
                    ctx.memory["table"]["begun"] = True
                    ctx.memory["secrets"]["ann"]
                    await ctx.restart()
                ctx.memory["totals"].append(1)"""
    zone = labelled_zone()
    ending, times = run_to_its_end(desk(body), zone)
    assert (ending.how, times) == (How.RETURNED, 1)
    assert content(zone, "totals") == [1]


def test_section_10_14_arguments_of_a_restart_are_no_way_out_of_a_place() -> None:
    ending, _ = run_to_its_end(desk('await ctx.restart(ctx.memory["clients"]["ann"])'))
    assert ending.text.startswith("Denied: arguments of ctx.restart would travel with the journal")


def test_section_10_14_what_was_recorded_before_is_bound_by_less() -> None:
    body = """ctx.log("before the loop")
                async for turn in ctx.turns(range(2)):
                    ctx.log("before it is used")
                    if turn == 0:
                        ctx.log("now", value=ctx.memory["clients"]["ann"])
                        ctx.log("and then", value=len(ctx.memory["secrets"]))
                    else:
                        ctx.memory["totals"].append(turn)"""
    zone = labelled_zone()
    ending, _ = run_to_its_end(desk(body), zone)
    assert ending.how is How.RETURNED, ending
    assert content(zone, "totals") == [1]
    kept = {r.compartment for r in journal_of(zone) if isinstance(r, Apart)}
    assert kept == {"journal/0", "journal/1"}
    said = [r.text for r in journal_of(zone) if isinstance(r, Line)]
    assert said == ["before the loop", "before it is used", "before it is used"]
    assert [r.text for r in records_of(zone) if isinstance(r, Line)] == [
        *said[:2],
        "now",
        "and then",
        *said[2:],
    ]


# --- declassifying ------------------------------------------------------------------------------------

RELEASE = desk('return await self.total([value for _, value in ctx.memory["clients"].items()])')


def test_section_10_15_a_step_that_declassifies_writes_its_result_once_it_is_permitted() -> None:
    zone = labelled_zone()
    ending, _ = run_to_its_end(RELEASE, zone)
    assert ending.result == 12
    assert content(zone, "totals") == [12]
    (intent,) = [record for record in records_of(zone) if isinstance(record, Intended)]
    assert (intent.step, intent.action, intent.effect) == ("total", "declassify", "none")
    assert (intent.labels, intent.labels_dropped) == ((), ("pii",))
    assert (intent.residency, intent.residency_dropped) == ((), ("EU",))
    (asked,) = zone.intents
    assert (asked.labels, asked.labels_dropped) == ((), ("pii",))
    assert (asked.residency, asked.residency_dropped) == ((), ("EU",))


def test_section_10_15_it_writes_nothing_if_that_is_denied() -> None:
    zone = labelled_zone()
    ending, _ = run_to_its_end(RELEASE, zone, denied=frozenset({"declassify"}))
    assert ending.text.startswith("Denied: declassify is denied here")
    assert content(zone, "totals") == []
    (denied,) = [record for record in records_of(zone) if isinstance(record, Denial)]
    assert (denied.step, denied.action, denied.effect) == ("total", "declassify", "none")
    assert denied not in journal_of(zone), "it is kept apart"


@pytest.mark.parametrize("crash_at", range(10))
@pytest.mark.parametrize("action", ["declassify", "order.place"])
def test_section_10_2_what_was_denied_stays_denied_wherever_its_host_dies(
    action: str, crash_at: int
) -> None:
    step = "sum" if action == "declassify" else "place"
    steps = """
            @step(declassifies=("pii",), into="totals", spends={"requests": 4})
            def sum(self, x: int) -> int:
                return x

            @step(effect="once", action="order.place", spends={"requests": 4})
            def place(self, x: int) -> int:
                return x
"""
    body = f"""value = ctx.memory["clients"]["ann"]
                try:
                    await self.{step}(value)
                except Denied as error:
                    return str(error)"""
    zone = labelled_zone()

    async def act(stage: Stage) -> object:
        text, denied = desk(body, steps), frozenset({action})
        broken = FakeCustodian(zone, denied=denied, crash_at=crash_at)
        await stage.execute_desk(text, custodian=broken)
        before = _denials(zone), zone.record.eligibility.budgets["requests"].spent
        ending = await stage.execute_desk(text, custodian=FakeCustodian(zone, denied=denied))
        after = _denials(zone), zone.record.eligibility.budgets["requests"].spent
        assert not before[0] or before == after, "it is neither asked nor paid for again"
        return ending

    assert on_stage(act, zone=zone).result.startswith(f"{action} is denied here")
    assert [denial.action for denial in _denials(zone)] == [action]


def _denials(zone: Zone) -> list[Denial]:
    if zone.record.memory.journal == ZERO:
        return []
    return [record for record in records_of(zone) if isinstance(record, Denial)]


@pytest.mark.parametrize("crash_at", range(12))
def test_section_10_15_a_result_is_written_once_wherever_its_host_dies(crash_at: int) -> None:
    text = desk("""for _ in range(2):
                    await self.total([value for _, value in ctx.memory["clients"].items()])
                return list(ctx.memory["totals"])""")
    zone = labelled_zone()

    async def act(stage: Stage) -> object:
        broken = FakeCustodian(zone, crash_at=crash_at)
        await stage.execute_desk(text, custodian=broken)
        return await stage.execute_desk(text)

    ending = on_stage(act, zone=zone)
    assert ending.result == [12, 12]
    assert content(zone, "totals") == [12, 12]


def test_section_10_15_a_result_is_written_once_though_its_compartment_may_take_nothing_more() -> (
    None
):
    steps = """
            @step(declassifies=("pii",), into="archive")
            def note(self, x: int) -> int:
                return x
"""
    body = """await self.note(ctx.memory["clients"]["ann"])
                ctx.memory["secrets"]["ann"]"""
    zone = labelled_zone()
    ending, _ = run_to_its_end(desk(body, steps), zone)
    assert ending.how is How.RETURNED, ending
    assert content(zone, "archive") == [5]


def test_section_10_15_labels_it_does_not_name_stay_on_the_result() -> None:
    body = """ctx.memory["secrets"]["ann"]
                await self.total([ctx.memory["clients"]["ann"]])"""
    ending, _ = run_to_its_end(desk(body))
    assert ending.text.startswith("Denied: compartment 'totals' may not hold data labelled secret,")


def test_section_10_15_a_mapping_takes_the_entries_of_a_dict() -> None:
    steps = """
            @step(declassifies=("pii",), into="table")
            def tell(self, said: object) -> object:
                return said
"""
    body = """await self.tell({"ann": ctx.memory["clients"]["ann"]})
                try:
                    await self.tell(3)
                except Exception as error:
                    return str(error)"""
    zone = labelled_zone()
    ending, _ = run_to_its_end(desk(body, steps), zone)
    assert ending.how is How.RETURNED, ending
    assert ending.result.startswith("a step that writes into a mapping returned int")
    assert content(zone, "table") == {"ann": 5}


def test_section_10_15_a_result_can_go_where_it_belongs_without_being_declassified() -> None:
    steps = """
            @step(into="clients")
            def fetch(self) -> dict:
                return {"cid": 9}
"""
    zone = labelled_zone()
    body = 'await self.fetch()\n                ctx.memory["totals"].append(1)'
    ending, _ = run_to_its_end(desk(body, steps), zone)
    assert ending.text.startswith("Denied: compartment 'totals' may not hold")
    assert content(zone, "clients")["cid"] == 9
    assert not any(isinstance(record, Outcome) for record in journal_of(zone))  # it is kept apart


# --- effects and the journal --------------------------------------------------------------------------


def test_section_10_14_an_effect_is_judged_by_the_labels_of_what_was_used() -> None:
    body = """await self.order(1)
                ctx.memory["secrets"]["ann"]
                await self.order(2)
                ctx.memory["clients"]["ann"]
                await self.order(3)"""
    zone = labelled_zone()
    ending, _ = run_to_its_end(desk(body), zone)
    assert ending.how is How.RETURNED
    assert [i.labels for i in zone.intents] == [(), ("secret",), ("pii", "secret")]
    assert [i.residency for i in zone.intents] == [(), (), ("EU",)]


LEAVING = desk("""async for turn in ctx.turns(range(3)):
                    if turn == 0:
                        value = ctx.memory["clients"]["ann"]
                        ctx.log("secret words", value=f"canary-{value}")
                        await self.work(f"canary-{value}")
                    if turn == 1:
                        came = await ctx.consider()
                        ctx.memory["totals"].append(came.moved)
                return list(ctx.memory["totals"])""")


def reachable(zone: Zone, root: bytes) -> bytes:
    todo, found = [root], b""
    while todo:
        data = zone.stored[todo.pop()]
        found += data
        todo += links(data)
    return found


def test_section_10_10_what_was_recorded_while_it_was_used_stays_where_it_may_be() -> None:
    away = place("away", 50, stays=("clients", "archive", "journal/0"))
    zone = labelled_zone()
    zone.places = (place("home", 100, current=True), away)

    async def act(stage: Stage) -> list[object]:
        endings = []
        for _ in range(3):
            endings.append(await stage.execute_desk(LEAVING))
            if endings[-1].how is How.ANEW:
                apart = zone.record.memory.compartments["journal/0"]
                assert (apart.labels, apart.residency) == (("pii",), ("EU",))
                assert b"canary-5" in reachable(zone, apart.root)
                assert b"canary-5" not in reachable(zone, zone.record.memory.journal)
        return endings

    endings = on_stage(act, zone=zone)
    assert [ending.how for ending in endings] == [How.ANEW, How.DEPARTED, How.RETURNED]
    assert endings[-1].result == [True]
    memory = zone.record.memory
    assert memory.compartments["journal/0"].held_by == place("home", 0).zone
    assert not any(b"canary-5" in data for data in zone.stored.values())
    kinds = [type(record) for record in journal_of(zone)]
    assert kinds.count(Apart) >= 2
    assert kinds[-1] is Returned


def test_section_10_10_records_bound_to_no_place_are_kept_in_the_journal() -> None:
    zone = labelled_zone()
    run_to_its_end(desk('await self.work(ctx.memory["secrets"]["ann"])'), zone)
    assert "journal/0" not in zone.record.memory.compartments
    assert not any(isinstance(record, Apart) for record in journal_of(zone))


def test_section_10_10_records_go_apart_by_what_binds_them() -> None:
    body = """ctx.memory["clients"]["ann"]
                await self.work(1)
                await ctx.sleep(0)
                ctx.memory["secrets"]["ann"]
                await self.work(2)"""
    zone = labelled_zone()
    ending, _ = run_to_its_end(desk(body), zone)
    assert ending.how is How.RETURNED
    apart = {n: c for n, c in zone.record.memory.compartments.items() if n.startswith("journal/")}
    assert [(n, c.labels) for n, c in sorted(apart.items())] == [
        ("journal/0", ("pii",)),
        ("journal/1", ("pii", "secret")),
    ]
    assert all(c.root != ZERO and c.size for c in apart.values())
    assert [r.result for r in records_of(zone) if isinstance(r, Outcome)] == [1, 2]


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ('declassifies=("pii",)', "a step declassifies pii, with effect 'none', into ''"),
        (
            'declassifies=("pii",), into="totals", effect="once", action="a.b"',
            "a step declassifies pii, with effect 'once', into 'totals'",
        ),
        ('declassifies="pii", into="totals"', "a step declassifies 'pii', which is one text"),
    ],
)
def test_section_10_15_what_is_declared_badly_is_said_at_once(declared: str, problem: str) -> None:
    steps = f"""
            @step({declared})
            def bad(self) -> int:
                return 1
"""
    with pytest.raises(Misused, match="a step declassifies") as raised:
        run_to_its_end(desk("return 1", steps))
    assert problem in str(raised.value)
