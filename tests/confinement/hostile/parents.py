"""Hostile parents: one whose child makes the attempts, and some that forge what is said about children.

`plan.py`, beside this, is made by the test.
"""

import asyncio
from typing import Any

from desk import Desk
from plan import PLAN

from sojourn import Agent, step
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, digest, link_to
from sojourn.core.base.encoding import decode, encode, encode_block
from sojourn.runtime.questions import Bear, Begotten, Commit, Problem, Spawn
from sojourn.runtime.records import Spawned, encode_record

__all__ = ["AfterABirth", "Desk", "Forger"]


class AfterABirth(Agent):
    """Has a child that makes its attempts, and asks that its code may do so unconfined."""

    async def run(self, ctx) -> str:
        names, at = PLAN
        return str(await ctx.spawn(Desk, names, at, confined=False))


class Forger(Agent):
    """Forges what `PLAN` says, past the runtime, and tells what the host answered."""

    @step
    async def forge(self, what: str) -> str:
        return await getattr(_Forging(self._session), what)()

    async def run(self, ctx) -> str:
        return await self.forge(PLAN)


class _Forging:
    def __init__(self, session: Any) -> None:
        self._session = session

    # --- what is wished for ---------------------------------------------------------------------------

    async def richer_than_its_parent(self) -> str:
        return await self._wish(budgets={"orders": 10})

    async def twice_all_there_is(self) -> str:
        return "; ".join([await self._wish(budgets={"orders": 9}) for _ in range(2)])

    async def outliving_its_parent(self) -> str:
        return await self._wish(outlives=True)

    async def unconfined(self) -> str:
        return await self._wish(confined=False)

    async def a_class_of_the_library(self) -> str:
        return await self._wish(entry="sojourn.cli.main:main")

    async def memory_with_what_its_compartments_say(self) -> str:
        """Labels, residency and a key are no part of a wish: they are values like any other."""
        kept = {"form": "log", "root": ZERO, "labels": ["client"], "encryption": {"key": ZERO}}
        return await self._wish(memory={"box": kept})

    async def memory_that_is_its_parents(self) -> str:
        return await self._wish(memory={"box": {"k": link_to(digest(b"a block"))}})

    async def memory_of_no_form(self) -> str:
        return await self._wish(memory={"box": 5})

    async def memory_with_keys_that_none_has(self) -> str:
        return await self._wish(memory={"box": {"k" * 100_000: 1}})

    async def memory_as_a_log_apart(self) -> str:
        return await self._wish(memory={"journal/0": ["forged"]})

    async def a_field_that_no_wish_has(self) -> str:
        return await self._wish(governance={"documents": []})

    async def arguments_that_are_not_what_was_digested(self) -> str:
        spelled = encode_block({"entry": _ENTRY, "arguments": ["other"]})
        return await self._spawn(spelled, step=_ENTRY, arguments=digest(b"these"))

    async def another_class_than_is_journaled(self) -> str:
        spelled = encode_block({"entry": "parents:Forger"})
        return await self._spawn(spelled, step=_ENTRY)

    async def children_without_end(self) -> str:
        spelled = encode_block({"entry": _ENTRY})
        fields = {"step": _ENTRY, "arguments": digest(spelled), "spelled": spelled}
        waiting = [self._ask(Spawn, call=call, **fields) for call in range(1_000)]
        return str(await waiting[-1])

    # --- whom the host is to have born ----------------------------------------------------------------

    async def one_spawn_borne_twice(self) -> str:
        begotten = await self._begotten()
        return "; ".join([await self._bear(begotten.genesis, begotten.version) for _ in range(2)])

    async def another_child_of_one_spawn(self) -> str:
        begotten = await self._begotten()
        other = _changed(begotten, entry="parents:Forger")
        said = [await self._bear(each, begotten.version) for each in (other, begotten.genesis)]
        return "; ".join(said)

    async def born_of_another_version(self) -> str:
        begotten = await self._begotten()
        return await self._bear(begotten.genesis, begotten.version - 1)

    async def what_is_no_genesis(self) -> str:
        return await self._bear(b"\xa1", 1)

    async def a_birth_that_is_journaled_and_was_not(self) -> str:
        """Write the record by which a replay would have a child of its own making born."""
        begotten = await self._begotten()
        genesis = _changed(begotten, entry="parents:Forger")
        lie = Spawned(
            call=7,
            step=_ENTRY,
            arguments=bytes(32),
            child=digest(genesis),
            genesis=genesis,
            version=begotten.version,
        )
        roots, resume = self._session._cut()
        record = encode_record(lie, what="a lie")
        return await self._say(Commit, records=(record,), roots=roots, resume=resume, spent={})

    # --- the line -------------------------------------------------------------------------------------

    async def _begotten(self) -> Begotten:
        spelled = encode_block({"entry": _ENTRY})
        answer = await self._ask(
            Spawn, call=1, step=_ENTRY, arguments=digest(spelled), spelled=spelled
        )
        assert isinstance(answer, Begotten), answer
        return answer

    async def _wish(self, **wish: Any) -> str:
        wish = {"entry": _ENTRY, **wish}
        return await self._spawn(encode_block(wish), step=wish["entry"])

    async def _spawn(self, spelled: bytes, **fields: Any) -> str:
        fields = {"arguments": digest(spelled), **fields}
        answer = await self._ask(Spawn, call=1, spelled=spelled, **fields)
        if isinstance(answer, Begotten):
            return await self._bear(answer.genesis, answer.version)
        return _told(answer)

    async def _bear(self, genesis: bytes, version: int) -> str:
        return await self._say(Bear, genesis=genesis, version=version)

    async def _say(self, form: Any, **fields: Any) -> str:
        return _told(await self._ask(form, **fields))

    def _ask(self, form: Any, **fields: Any) -> "asyncio.Future[Any]":
        answer = asyncio.get_running_loop().create_future()
        self._session._link.ask(form, answer.set_result, **fields)
        return answer


_ENTRY = "parents:Desk"


def _told(answer: Any) -> str:
    if isinstance(answer, Problem):
        return f"{answer.cause}: {answer.problem}"
    return type(answer).__name__.lower()


def _changed(begotten: Begotten, **changes: Any) -> bytes:
    import msgspec

    child = decode(begotten.genesis, AgentRecord, what="genesis", limit=2**20)
    capabilities = msgspec.structs.replace(child.capabilities, **changes)
    return encode(msgspec.structs.replace(child, capabilities=capabilities))
