"""`sojourn agent asks`, `approve`, `decline` and `answer`: what an agent waits for people to say."""

import json

import click

from sojourn.cli.expected import told_expected
from sojourn.cli.home import Home
from sojourn.cli.inquiries import InquiryShown, PeopleShown, Replied, read_inquiries
from sojourn.cli.inquiries import answer as give_answer
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import clean, counted, emit, say, when
from sojourn.cli.petitions import Answered, GroupShown, PetitionShown, answer, read_petitions
from sojourn.cli.reach import perform, reaching
from sojourn.core.base.errors import Misused
from sojourn.runtime.processes.keyfile import Purpose

__all__ = ["answer_question", "approve", "asks", "decline"]


@click.command()
@click.argument("name")
@json_option
@with_home
def asks(home: Home, *, name: str, as_json: bool) -> None:
    """Show what the agent NAME waits for people to say: what it would do, by which rule, and who may approve.

    And what its own code asks, what answer it expects and who may give it. What is shown was checked: the petition
    against its certified record, the arguments against the petition, the question against its certified journal.

    Example:
      sojourn agent asks risk-desk
    """

    async def work() -> list[PetitionShown | InquiryShown]:
        async with reaching() as reach:
            petitions = await read_petitions(reach, home, name)
            return [*petitions, *await read_inquiries(reach, home, name)]

    emit(perform(work()), as_json, lambda found: _render(name, found))


def _render(name: str, found: list[PetitionShown | InquiryShown]) -> None:
    if not found:
        say(f"{name} asks nobody anything.")
    for shown in found:
        if isinstance(shown, InquiryShown):
            _render_inquiry(shown)
            continue
        say(f"{shown.petition[:12]}  {shown.action} ({shown.effect}), step {shown.step}")
        for field, text in _facts(shown):
            say(f"  {field:<10} {clean(text)}")


def _render_inquiry(shown: InquiryShown) -> None:
    say(f"{shown.inquiry[:12]}  {clean(shown.question)}")
    facts = [("expects", _told(shown.expects))]
    facts += [("may answer", _people(people, shown)) for people in shown.people]
    names = {k: p for each in shown.people for k, p in zip(each.keys, each.people, strict=True)}
    for each in shown.answers:
        value = json.dumps(each.value, ensure_ascii=False)
        state = "others have to say the same" if each.is_taken else "not taken yet"
        facts.append(("answered", f"{value} by {names.get(each.by, each.by)}, {state}"))
    end = "as long as it takes" if shown.expires_ms is None else f"{when(shown.expires_ms)} UTC"
    for field, text in [*facts, ("until", end)]:
        say(f"  {field:<10} {clean(text)}")


def _told(schema: str) -> str:
    """Return in words what a question expects, or that its agent says nothing that can be told."""
    try:
        return told_expected(schema)
    except Misused as error:
        return error.problem


def _people(people: PeopleShown, shown: InquiryShown) -> str:
    since = "" if people.from_ms == shown.asked_ms else f", from {when(people.from_ms)} UTC"
    group = f"{people.group}: " if people.group else ""
    number = "any" if people.needed == 1 else f"{people.needed}, who say the same,"
    return f"{group}{number} of {', '.join(people.people)}{since}"


@click.command("answer")
@click.argument("agent", metavar="NAME")
@click.argument("value")
@click.option("--question", help="Which, by its first digits.  [default: the only one]")
@click.option("--key", help="The person's key that signs it.  [default: the only one here]")
@json_option
@with_home
def answer_question(
    home: Home, *, agent: str, value: str, question: str | None, key: str | None, as_json: bool
) -> None:
    """Answer what the code of the agent NAME asks, as a person who may: VALUE, as JSON or as plain text.

    It is checked against what the question expects, signed, kept by the anchors of the zone where the agent is, and
    wakes it. The first answer of somebody who may is the answer; or, of a group that needs several, what so many say.
    Who answers again has changed their mind.

    Example:
      sojourn agent answer risk-desk yes --key alice
      sojourn agent answer risk-desk '{"what": "gold", "count": 3}' --question 3fa9c1
    """
    person = home.key(key, Purpose.PERSON)

    async def work() -> Replied:
        async with reaching() as reach:
            return await give_answer(reach, home, agent, value, question, person)

    def render(done: Replied) -> None:
        told = clean(json.dumps(done.value, ensure_ascii=False))
        say(
            f"{agent} is answered {told}: {counted(done.anchors, 'anchor')} of {done.zone} keep that"
        )

    emit(perform(work()), as_json, render)


def _facts(shown: PetitionShown) -> list[tuple[str, str]]:
    facts = [("arguments", _arguments(shown.arguments))]
    facts += [("labels", ", ".join(shown.labels))] if shown.labels else []
    facts += [("cost", f"{shown.cost_micros} millionths")] if shown.cost_micros else []
    facts += [("tokens", str(shown.tokens))] if shown.tokens else []
    facts += [("secrets", ", ".join(shown.secrets))] if shown.secrets else []
    facts += [("rule", rule) for rule in shown.rules] or [("rule", "none asks for it any more")]
    facts += [("may answer", _group(group, shown)) for group in shown.groups]
    people = {k: p for g in shown.groups for k, p in zip(g.keys, g.people, strict=True)}
    for each in shown.answers:
        said = "approved" if each.is_approved else "declined"
        why = f": {each.reason}" if each.reason else ""
        facts.append((said, f"by {people.get(each.approver, each.approver)}{why}"))
    facts.append(("until", f"{when(shown.expires_ms)} UTC, then the answer is no"))
    return facts


def _arguments(spelled: list[object]) -> str:
    positional, named = spelled
    assert isinstance(positional, list) and isinstance(named, dict)
    texts = [json.dumps(each, ensure_ascii=False) for each in positional]
    texts += [f"{name}={json.dumps(each, ensure_ascii=False)}" for name, each in named.items()]
    return ", ".join(texts) or "none"


def _group(group: GroupShown, shown: PetitionShown) -> str:
    needed = "any" if group.needed == 1 else str(group.needed)
    since = "" if group.from_ms == shown.asked_ms else f", from {when(group.from_ms)} UTC"
    return f"{group.name}: {needed} of {', '.join(group.people)}{since}"


def _answering(name: str, about: str, *, is_approved: bool) -> click.Command:
    """Return the command that answers a petition."""

    @click.command(name, help=about)
    @click.argument("agent", metavar="NAME")
    @click.argument("petition", required=False)
    @click.option("--key", help="The person's key that signs it.  [default: the only one here]")
    @click.option("--reason", default="", help="Why; the agent is told if it is declined.")
    @json_option
    @with_home
    def command(
        home: Home, *, agent: str, petition: str | None, key: str | None, reason: str, as_json: bool
    ) -> None:
        approver = home.key(key, Purpose.PERSON)

        async def work() -> Answered:
            async with reaching() as reach:
                return await answer(
                    reach, home, agent, petition, approver, is_approved=is_approved, reason=reason
                )

        def render(done: Answered) -> None:
            said = "approved" if done.is_approved else "declined"
            say(
                f"{done.action} of {agent} is {said}: {counted(done.anchors, 'anchor')} of {done.zone} keep that"
            )

        emit(perform(work()), as_json, render)

    return command


approve = _answering(
    "approve",
    "Approve what the agent NAME asks, as a person who may: PETITION, or the only one there is.\n\nIt counts once, "
    "for exactly that action with its arguments, until the petition expires. The first digits of a petition name "
    "it.\n\nExample:\n  sojourn agent approve risk-desk 3fa9c1 --key alice",
    is_approved=True,
)
decline = _answering(
    "decline",
    "Decline what the agent NAME asks, as a person who may approve it: PETITION, or the only one there is.\n\nThe "
    "step is denied, with the reason. One who declines is enough, and it is final.\n\nExample:\n  sojourn agent "
    'decline risk-desk --reason "too much of it"',
    is_approved=False,
)
