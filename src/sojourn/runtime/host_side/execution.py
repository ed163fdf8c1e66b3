"""An execution: the host's side of a running agent. It keeps the journal and the order of the gate.

    batch     lease live → records, memory and resume information final together
    effect    what came before final → gate and anchors permit → intent final → lease live → effect → outcome
    move      the choice final → departure

It believes nothing that the agent's side says about anyone but the agent itself: frames are checked and
bounded, blocks are the agent's own, intents are written here. A side that breaks these rules has its run
ended, with a record of why.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from sojourn.core.agent.capabilities import Capabilities
from sojourn.core.base.digests import ZERO
from sojourn.core.base.errors import Denied, Refused, Rejected
from sojourn.runtime.agent_side.course import Arguments
from sojourn.runtime.agent_side.queueing import PlacesHeld
from sojourn.runtime.agent_side.relaying import Caller
from sojourn.runtime.agent_side.sending import delivered
from sojourn.runtime.errors import Erased, LeaseLost
from sojourn.runtime.failures import failure_of
from sojourn.runtime.frames import (
    Anew,
    Broke,
    Diverged,
    Forget,
    FromAgent,
    FromHost,
    Go,
    History,
    Keep,
    Open,
    Progressed,
    Remark,
    Reply,
    Touch,
    decode_from_agent,
    encode_frame,
    parcels,
)
from sojourn.runtime.holdings import Holdings
from sojourn.runtime.host_side.ending import Ending, How, broken_by, stopped
from sojourn.runtime.host_side.flow import Binding, Flow
from sojourn.runtime.host_side.gating import Gate, problem_of
from sojourn.runtime.host_side.journal import Journal, at_hand, first_resume, own_roots
from sojourn.runtime.host_side.proposing import Proposer
from sojourn.runtime.host_side.sealing import Sealing
from sojourn.runtime.host_side.waits import Waits
from sojourn.runtime.ports import Channel, Custodian
from sojourn.runtime.questions import (
    Answer,
    Ask,
    AskRelease,
    Await,
    Bear,
    Block,
    CallModel,
    Commit,
    Deliver,
    Depart,
    Done,
    Enter,
    Fetch,
    Hear,
    Inquire,
    Intend,
    Leave,
    Listen,
    Perform,
    Places,
    Question,
    Recall,
    Release,
    Rest,
    Seek,
    Sleep,
    Spawn,
    Survey,
    Withdraw,
)
from sojourn.runtime.records import Failure, Raised, Returned, describe
from sojourn.runtime.starting import start_of

__all__ = ["Ending", "Execution", "How"]

QUESTIONS_MAX: Final = 256
"""Questions under way. An agent's side asks one for each call that is under way."""
PROPOSALS_MAX: Final = 64
"""Frames that wait to change the journal."""
REMARKS_MAX: Final = 8
"""Remarks that go into the log."""
REST_AFTER_S: Final = 1.0
"""How long an agent that only waits stays in memory before it is made dormant."""


class _Batch(NamedTuple):
    """A batch, and the new blocks that came before it."""

    frame: Commit
    kept: dict[bytes, bytes]


_Proposal: TypeAlias = (
    _Batch
    | Binding
    | Anew
    | Intend
    | Release
    | Ask
    | AskRelease
    | Spawn
    | Depart
    | Rest
    | Broke
    | Diverged
    | None
)
"""What changes or ends the journal; None means that the agent's side is gone."""


class Execution:
    """Executes one agent on one channel, once.

    `arguments` are those of `run` for an agent that has no journal yet: plain values. An agent that only waits
    is let to rest after `rest_after_s`. `adopts` are its capabilities with the code that is tried here, if that is
    not its own yet: with its first step the agent adopts it, and if it fails before, nothing has changed. Model
    calls of code that has no network are made by `caller`.
    """

    def __init__(
        self,
        custodian: Custodian,
        channel: Channel,
        *,
        arguments: Arguments = ((), {}),
        rest_after_s: float = REST_AFTER_S,
        adopts: Capabilities | None = None,
        caller: Caller | None = None,
    ) -> None:
        self._custodian = custodian
        self._channel = channel
        self._arguments = arguments
        self._rest_after_s = rest_after_s
        self._adopts, self._caller = adopts, caller
        self._proposer: Proposer
        self._holdings: Holdings
        self._queue: asyncio.Queue[_Proposal] = asyncio.Queue()
        self._group: asyncio.TaskGroup
        self._questions: set[asyncio.Task[None]] = set()
        self._waits, self._places = Waits(custodian), PlacesHeld(custodian)
        self._over: asyncio.Future[Ending]
        self._gate: Gate
        self._remarks = 0
        self._rest: Rest | None = None
        self._rest_timer: asyncio.TimerHandle | None = None

    async def run(self) -> Ending:
        """Execute the agent until it ends, rests, departs, or may not go on here.

        Raises what the custodian raises but `LeaseLost`. Cancel it to stop: what is not final by then is
        lost, and the agent resumes from what is (protocol §6). The channel is closed in any case.
        """
        try:
            return await self._run()
        except LeaseLost as lost:
            return Ending(how=How.LEASE_LOST, text=str(lost))
        finally:
            self._stir()
            try:
                await self._channel.close()
            finally:
                self._places.close()

    async def _run(self) -> Ending:
        journal = await Journal.load(self._custodian)
        is_fresh = journal is None or await journal.is_blank(self._custodian)
        if journal is None:
            journal = Journal.begin(self._custodian, first_resume(self._custodian, self._arguments))
        if journal.resume.ended is not None:
            return await self._ending(journal)
        self._holdings = Holdings(own_roots(self._custodian.record, journal.resume))
        self._flow = Flow(self._custodian.record, journal.resume)
        self._proposer = Proposer(self._custodian, journal, self._holdings, self._flow)
        self._proposer.adopts = self._adopts
        self._gate = Gate(self._custodian, self._proposer, self._caller)
        self._sealing = Sealing(self._flow)
        try:
            await self._start(journal, fresh=is_fresh)
        except Erased as erased:
            await self._proposer.fail(failure_of(erased))
            return await self._ending(self._proposer.journal)
        return await self._serve()

    async def _start(self, journal: Journal, *, fresh: bool) -> None:
        """Tell the agent's side who it is and where to resume."""
        record = self._custodian.record
        adopts = self._adopts is not None
        start = start_of(record, journal.resume, len(journal), fresh=fresh, adopts=adopts)
        await self._send(start)
        if not fresh:
            async for segment, records in journal.history(self._custodian):
                self._gate.entrusting.resume(records)
                for parcel in parcels(records):
                    await self._send(History(segment=segment, records=tuple(parcel)))
        await self._send(Go())

    async def _serve(self) -> Ending:
        """Take what the agent's side says until the execution is over."""
        self._over = asyncio.get_running_loop().create_future()
        # Who is cancelled meanwhile does not ask how it ended, and that is no oversight.
        self._over.add_done_callback(lambda over: over.cancelled() or over.exception())
        async with asyncio.TaskGroup() as self._group:
            takers = [self._spawn(self._read), self._spawn(self._propose)]
            try:
                await asyncio.wait((self._over,))
            finally:
                for task in (*takers, *self._questions):
                    task.cancel()
        return self._over.result()

    def _spawn(
        self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any
    ) -> asyncio.Task[None]:
        """Start a task whose failure ends the execution and is raised from it."""

        async def guarded() -> None:
            try:
                await work(*args)
            except Exception as error:  # it is raised again by `_serve`
                if not self._over.done():
                    self._over.set_exception(error)

        return self._group.create_task(guarded())

    def _end(self, ending: Ending) -> None:
        if not self._over.done():
            self._over.set_result(ending)

    async def _ending(self, journal: Journal) -> Ending:
        """Return how the run ended that this journal records."""
        match await at_hand(self._custodian, partial(journal.last, self._custodian)):
            case Returned(result=result):
                return Ending(how=How.RETURNED, result=result)
            case Raised(failure=failure):
                return Ending(how=How.RAISED, text=f"{failure.kind}: {failure.message}")
            case record:
                problem = f"the journal has ended with a record of kind {describe(record)}"
                raise Rejected(problem, reason="bad-field", where="journal")

    # --- what the agent's side says ------------------------------------------------------------------

    async def _read(self) -> None:
        """Take frames as they come; what is malformed or out of turn fails the agent."""
        try:
            while (data := await self._channel.receive()) is not None:
                self._gate.entrusting.check(data)
                self._take(decode_from_agent(data))
            self._queue.put_nowait(None)
        except Rejected as error:
            self._queue.put_nowait(broken_by(error))

    def _take(self, frame: FromAgent) -> None:
        match frame:
            case Commit():
                self._enqueue(_Batch(frame, self._holdings.take()))
            case Touch() | Open():
                self._announce(frame)
            case (
                Intend()
                | Release()
                | Ask()
                | AskRelease()
                | Spawn()
                | Depart()
                | Broke()
                | Diverged()
                | Anew()
            ):
                self._enqueue(frame)
            case Rest():
                self._stir()
                self._rest = frame
                loop = asyncio.get_running_loop()
                self._rest_timer = loop.call_later(
                    self._rest_after_s, self._queue.put_nowait, frame
                )
            case Keep():
                self._holdings.keep(frame.blocks)
            case Remark():
                self._remark(frame.text)
            case Progressed() if (
                self._flow.is_anywhere
            ):  # what bound code says may not be everywhere
                self._custodian.progress(frame.text, frame.done, frame.total)
            case (
                Await()
                | Bear()
                | Withdraw()
                | Deliver()
                | Inquire()
                | Hear()
                | Perform()
                | CallModel()
                | Enter()
                | Fetch()
                | Recall()
                | Sleep()
                | Listen()
                | Seek()
                | Survey()
            ):
                self._ask(frame)
            case Forget() | Leave():
                self._let_go(frame)
            case _:
                kind = type(frame).__name__
                raise Rejected(f"{kind} came out of turn", reason="out-of-turn", where="frame")

    def _let_go(self, frame: Forget | Leave) -> None:
        if isinstance(frame, Forget):
            self._waits.forget(frame.asked)
        else:
            self._places.leave(frame.asked)

    def _announce(self, frame: Touch | Open) -> None:
        """Take what the code will be bound by from now on; of what it opens, it is told if that may be."""
        self._holdings.check_own(root for root in frame.roots.values() if root != ZERO)
        binding = self._sealing.announce(frame, self._custodian.record)
        if binding is not None:
            self._enqueue(binding)
        if isinstance(frame, Open):
            self._ask(frame)

    def _enqueue(self, proposal: "_Proposal") -> None:
        self._stir()
        if self._queue.qsize() >= PROPOSALS_MAX:
            problem = f"more than {PROPOSALS_MAX} proposals at once"
            raise Rejected(problem, reason="too-many", where="frame")
        self._queue.put_nowait(proposal)

    def _remark(self, text: str) -> None:
        if self._remarks < REMARKS_MAX:
            self._custodian.log("runtime", text)
        self._remarks += 1

    def _ask(self, question: Question | Open) -> None:
        if len(self._questions) >= QUESTIONS_MAX:
            problem = f"more than {QUESTIONS_MAX} questions at once"
            raise Rejected(problem, reason="too-many", where="frame")
        task = self._spawn(self._answer, question)
        self._questions.add(task)
        self._waits.begin(question, task)
        task.add_done_callback(self._questions.discard)

    def _stir(self) -> None:
        """The agent does not rest any more."""
        self._rest = None
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None

    # --- questions, in any order ---------------------------------------------------------------------

    async def _answer(self, question: Question | Open) -> None:
        try:
            if isinstance(question, Open):
                await self._reply(question, self._sealing.open(question))
            else:
                await self._answer_one(question)
        except Rejected as error:
            self._queue.put_nowait(broken_by(error))

    async def _answer_one(self, question: Question) -> None:
        answer: Answer
        match question:
            case Await() | Withdraw() | Bear():
                answer = await self._gate.answer(question)
            case Inquire() | Hear():
                answer = await self._gate.answer(question)
                self._stir()
            case Deliver():
                answer = await delivered(self._custodian, question)
            case Perform() | CallModel():
                self._proposer.check_may_act()
                answer = await self._gate.entrusting.answer(question)
            case Enter():
                answer = await self._places.enter(question)
            case Fetch():
                self._holdings.check_own((question.digest,))
                self._holdings.check_readable(question.digest, self._flow.is_readable)
                answer = Block(data=await self._serve_block(question.digest))
            case Recall():
                answer = await self._recall(question.digests)
            case Sleep() | Listen() | Seek():
                answer = await self._waits.answer(question)
                self._stir()
            case Survey():
                places = await self._custodian.places()
                self._proposer.note_places(places)
                answer = Places(places=places)
        await self._reply(question, answer)

    async def _recall(self, digests: tuple[bytes, ...]) -> Done:
        for named in digests:
            self._holdings.check_own((named,))
            await self._serve_block(named)
        return Done()

    async def _serve_block(self, named: bytes) -> bytes:
        """Return a block of the agent's own; what it links to is its own from now on."""
        data = await at_hand(self._custodian, partial(self._custodian.blocks.get, named))
        self._holdings.serve(named, data)
        return data

    # --- proposals, in order -------------------------------------------------------------------------

    async def _propose(self) -> None:
        """Take what changes the journal, one at a time."""
        while not self._over.done():
            proposal = await self._queue.get()
            try:
                await self._propose_one(proposal)
            except Rejected as error:
                await self._propose_one(broken_by(error))

    async def _propose_one(self, proposal: "_Proposal") -> None:
        match proposal:
            case _Batch(frame, kept):
                await self._commit(frame, kept)
            case Binding():
                self._flow.bind(proposal)
            case Intend() | Release() | Ask() | AskRelease() | Spawn() | Depart() if (
                self._gate.is_spent
            ):
                pass  # it is called again when the agent goes on
            case Intend() | Release() | Ask() | AskRelease() | Spawn():
                await self._reply(proposal, await self._gate.rule(proposal))
            case Depart():
                await self._depart(proposal)
            case Rest() if proposal is self._rest:
                await self._proposer.rest(proposal)
                self._end(Ending(how=How.RESTING, sought=proposal.sought))
            case Broke():
                await self._fail(proposal.failure)
            case Anew() if self._proposer.is_holding:  # it goes on from there when it may
                await self._lie_down()
            case Anew() | Diverged() | None:
                self._end(stopped(proposal))

    async def _commit(self, frame: Commit, kept: dict[bytes, bytes]) -> None:
        await self._proposer.commit(frame, kept)
        self._gate.entrusting.settle(frame.records)
        await self._reply(frame, Done(is_spent=self._gate.is_spent))
        if frame.resume.ended is not None:
            self._end(await self._ending(self._proposer.journal))
        elif frame.rest is not None:
            self._end(self._resting())

    async def _lie_down(self) -> None:
        """Let an agent rest whose steps or time are used up, and that would go on at once if it might."""
        await self._proposer.rest(Rest(until_ms=self._custodian.now_ms(), listening=False))
        self._end(self._resting())

    def _resting(self) -> Ending:
        return Ending(how=How.RESTING, text=self._custodian.record.eligibility.describe())

    async def _depart(self, frame: Depart) -> None:
        try:
            await self._proposer.depart(frame.zone)
        except (Denied, Refused) as stays:
            await self._reply(frame, problem_of(stays))
        else:
            self._end(Ending(how=How.DEPARTED))

    async def _fail(self, failure: Failure) -> None:
        if self._proposer.adopts is not None:  # the agent has its old code to go on with
            text = f"{failure.kind}: {failure.message}"
            self._end(Ending(how=How.DIVERGED, text=text))
        else:
            await self._proposer.fail(failure)
            self._end(await self._ending(self._proposer.journal))

    async def _reply(self, question: Question | Open, answer: Answer) -> None:
        sealed = self._sealing.seal(question.ask, answer)
        await self._send(Reply(ask=question.ask, answer=sealed))

    async def _send(self, frame: FromHost) -> None:
        await self._channel.send(encode_frame(frame))
