"""`sojourn policy`: check Cedar text; sign, seal and show documents, get an agent's, and publish what was signed."""

import time
from pathlib import Path
from typing import Any

import click
import msgspec

from sojourn.cli.amending import fetch_policies
from sojourn.cli.approvers_file import declared_approvers, read_sections
from sojourn.cli.documents import SIGNED_SUFFIX, read_signed, sign_document, write_signed
from sojourn.cli.help import Group
from sojourn.cli.home import Home
from sojourn.cli.mandates import (
    check_usable,
    delegations_shown,
    mandate_in,
    read_mandate,
    render_delegations,
)
from sojourn.cli.options import MOMENT, SPAN, is_number, json_option, milliseconds, with_home
from sojourn.cli.output import counted, emit, say
from sojourn.cli.policy_corpus import corpus
from sojourn.cli.policy_delegate import delegate
from sojourn.cli.policy_diff import diff
from sojourn.cli.policy_head import head, head_shown, render_head
from sojourn.cli.policy_publish import publish
from sojourn.cli.policy_revoke import revoke
from sojourn.cli.policy_text import read_policy
from sojourn.cli.policy_view import (
    ACTS,
    DocumentShown,
    check_follows,
    document_shown,
    render_compared,
    render_document,
)
from sojourn.cli.publishing import read_head
from sojourn.cli.reach import perform, reaching
from sojourn.core.agent.approvals import Approvers
from sojourn.core.agent.delegation import Power
from sojourn.core.agent.governance import (
    Document,
    Officers,
    Root,
    SignedDocument,
    check_successor,
)
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.policy.document import PolicyDocument, read_rules
from sojourn.runtime.processes.keyfile import Purpose

__all__ = ["policy"]

_FILE = click.Path(dir_okay=False, path_type=Path)


class RuleShown(msgspec.Struct, frozen=True):
    """One rule of a policy: an effect, the actions it is about (none: all), and where it begins.

    `asks` is the group of approvers that has to approve it; "" if nobody has to.
    """

    line: int
    id: str
    effect: str
    actions: tuple[str, ...]
    text: str
    asks: str


class PolicyChecked(msgspec.Struct, frozen=True):
    """A policy that can serve as one."""

    name: str
    rules: tuple[RuleShown, ...]


class PolicyFiles(msgspec.Struct, frozen=True):
    """The files that documents were written to."""

    files: tuple[str, ...]


@click.group(cls=Group)
def policy() -> None:
    """Check and sign policies; publish what officers signed.

    Policies are Cedar text over a published schema: the agent is the principal, the zone the resource. What no
    rule permits is denied, and any forbid wins.
    """


policy.add_command(corpus)
policy.add_command(delegate)
policy.add_command(diff)
policy.add_command(head)
policy.add_command(publish)
policy.add_command(revoke)


def _actions(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


actions_option = click.option(
    "--actions", default="", help="The application's own actions that it names, with commas."
)


approvers_option = click.option(
    "--approvers", type=_FILE, help="The TOML file of the groups that its rules may ask."
)


@policy.command()
@click.argument("file", type=_FILE)
@actions_option
@approvers_option
@json_option
def check(file: Path, actions: str, approvers: Path | None, as_json: bool) -> None:
    """Check the policy FILE as it will be checked when it is signed: syntax, schema, and that it permits.

    What is wrong is said with line and column, and ends with exit code 2.

    Example:
      sojourn policy check eu-finance.cedar --actions order.place
    """
    groups = tuple(sorted(read_sections(approvers)))
    text = read_policy(file, _actions(actions), groups)
    document = PolicyDocument(
        name=file.name, text=text, actions=_actions(actions), approvers=groups
    )
    rules = tuple(
        RuleShown(
            rule.line,
            rule.id,
            "permit" if rule.permits else "forbid",
            rule.actions,
            rule.text,
            rule.ask.group if rule.ask else "",
        )
        for rule, *_ in read_rules(document)
    )

    def render(_: PolicyChecked) -> None:
        say(f"{file} is a policy with {counted(len(rules), 'rule')}")
        for rule in rules:
            about = ", ".join(rule.actions) or "every action"
            named = f' "{rule.id}"' if rule.id else ""
            asking = f', if "{rule.asks}" approves' if rule.asks else ""
            say(f"  line {rule.line}: {rule.effect}{named} about {about}{asking}")

    emit(PolicyChecked(file.name, rules), as_json, render)


@policy.command()
@click.argument("file", type=_FILE)
@click.option("--issuer", help="Whose policy it is, in words.  [default: as in --previous]")
@click.option("--name", help="What it is called.  [default: as in --previous, or the file's name]")
@click.option(
    "--key",
    "keys",
    multiple=True,
    help="An officer's key that signs; repeatable.  [default: the only one]",
)
@click.option(
    "--officer",
    "officers",
    multiple=True,
    help="Who may act for the issuer; repeatable.  [default: as in --previous, or who signs]",
)
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="ACT=N",
    help="Officers that an act needs; repeatable.  [default: as in --previous, or 1]",
)
@click.option(
    "--root",
    "roots",
    multiple=True,
    help="A key that alone names other officers; repeatable.  [default: as in --previous]",
)
@click.option(
    "--root-threshold",
    type=click.IntRange(1),
    help="How many root keys that takes.  [default: as in --previous, or 1]",
)
@click.option("--no-root", is_flag=True, help="Have no root any more.")
@click.option("--previous", type=_FILE, help="The signed document that it succeeds.")
@click.option(
    "--version",
    type=click.IntRange(1),
    help="[default: 1, or the next]",
)
@actions_option
@approvers_option
@click.option(
    "--outside-effects", is_flag=True, help="Say that the agent may act outside its zone."
)
@click.option("--not-before", type=MOMENT, help="When it begins to hold.  [default: now]")
@click.option("--not-after", type=MOMENT, help="When it ends.  [default: ten years from now]")
@click.option(
    "--cool-down",
    type=SPAN,
    help="How long it rules beside its successor, such as 7d.  [default: as in --previous, or 0]",
)
@click.option(
    "--staleness",
    type=SPAN,
    help="Let agents act only where a head is no older; 0s: anywhere.  [default: as in --previous, or 0s]",
)
@click.option(
    "--under", type=_FILE, help="Sign for the issuer under this mandate, as its delegate."
)
@click.option("--incomplete", is_flag=True, help="Write it though others have to sign it as well.")
@click.option(
    "--output", type=_FILE, help="Where to write it.  [default: FILE with the suffix .signed]"
)
@json_option
@with_home
def sign(home: Home, /, *, file: Path, previous: Path | None, as_json: bool, **given: Any) -> None:
    r"""Sign the policy FILE as a document of an issuer, for agents to carry.

    A successor is signed by the officers of the document before it: an amendment cannot appoint its own judges.
    What is not said of it is as it was before.

    Examples:
      sojourn policy sign eu-finance.cedar --issuer acme --key acme-compliance
      sojourn policy sign eu-finance.cedar --previous eu-finance.signed \
          --key alice --key bob --output eu-finance-2.signed
    """
    chosen = given["keys"] or (home.only_key(Purpose.OFFICER),)
    pairs = [home.key(each, Purpose.OFFICER) for each in chosen]
    old = read_signed(previous).document if previous else None
    document = _document(home, file, old, [pair.public for pair in pairs], given)
    signed = _sealed(sign_document(document, pairs), old, given["under"])
    _check_signed(signed, old, incomplete=given["incomplete"])
    target = given["output"] or file.with_suffix(SIGNED_SUFFIX)
    if target.exists():
        raise Misused(f"{target} exists already", remedy="Choose another file with --output")
    write_signed(target, signed)
    emit(document_shown(signed, old), as_json, lambda shown: _render_signed(target, shown))


def _sealed(signed: SignedDocument, old: Document | None, under: Path | None) -> SignedDocument:
    """Return a signed document with the mandate in a file, if one is given, under which these keys may sign it."""
    if under is None:
        return signed
    if old is None:
        problem = "a delegate signs no first document"
        raise Misused(problem, remedy="Give the document that it succeeds with --previous")
    mandate = read_mandate(under)
    check_usable(mandate, Power.AMEND, [seal.signer for seal in signed.seals])
    return msgspec.structs.replace(signed, under=mandate)


def _document(
    home: Home, file: Path, old: Document | None, signing: list[bytes], given: dict[str, Any]
) -> Document:
    """Return the document that options make of a text, and of the document that it succeeds."""
    issuer, before, after = given["issuer"], given["not_before"], given["not_after"]
    if issuer is None and old is None:
        raise Misused("nobody is its issuer", remedy="Say whose policy it is with --issuer")
    actions = _actions(given["actions"]) or (old.actions if old else ())
    groups = _approvers(home, old, given["approvers"])
    cool_down_ms = given["cool_down"]
    return Document(
        issuer=issuer or (old.issuer if old else ""),
        name=given["name"] or (old.name if old else file.stem),
        version=given["version"] or (old.version + 1 if old else 1),
        officers=_officers(home, old, signing, given),
        cedar=read_policy(file, actions, groups),
        not_before_ms=milliseconds(before) if before else time.time_ns() // 1_000_000,
        not_after_ms=milliseconds(after),
        actions=actions,
        previous=digest_of(old) if old else None,
        outside_effects=given["outside_effects"] or (old is not None and old.outside_effects),
        cool_down_ms=(old.cool_down_ms if old else 0) if cool_down_ms is None else cool_down_ms,
        root=_root(home, old, given),
        approvers=groups,
        staleness_ms=_staleness(old, given["staleness"]),
    )


def _approvers(home: Home, old: Document | None, file: Path | None) -> dict[str, Approvers]:
    if file is None and old is not None:
        return old.approvers
    return declared_approvers(home, read_sections(file))


def _staleness(old: Document | None, given_ms: int | None) -> int | msgspec.UnsetType:
    if given_ms is None:
        return old.staleness_ms if old else msgspec.UNSET
    return given_ms or msgspec.UNSET


def _officers(
    home: Home, old: Document | None, signing: list[bytes], given: dict[str, Any]
) -> Officers:
    before = old.officers if old else Officers(keys=tuple(signing))
    named = tuple(home.public_key(each) for each in given["officers"])
    thresholds = _thresholds(given["thresholds"])
    return msgspec.structs.replace(before, keys=named or before.keys, **thresholds)


def _root(home: Home, old: Document | None, given: dict[str, Any]) -> Root | None:
    before, named = old.root if old else None, given["roots"]
    threshold = given["root_threshold"]
    if given["no_root"]:
        if named or threshold:
            raise Misused("--no-root goes with no root", remedy="Leave one of them out")
        return None
    if not named and before is None:
        if threshold:
            raise Misused("there is no root", remedy="Name its keys with --root")
        return None
    keys = tuple(home.public_key(each) for each in named) or (before.keys if before else ())
    return Root(keys=keys, threshold=threshold or (before.threshold if before else 1))


def _check_signed(signed: SignedDocument, old: Document | None, *, incomplete: bool) -> None:
    """Raise `Misused` unless these seals make it hold, by itself or after its predecessor, or may come to."""
    document = signed.document
    if document.not_before_ms >= document.not_after_ms:
        raise Misused("the document would never hold", remedy="Give --not-after a later time")
    try:
        if incomplete:
            check_follows(signed, old)
        elif old is not None:
            check_successor(old, signed)
        else:
            signed.check(document.officers, document.officers.amend)
    except Rejected as error:
        plain = "Sign with enough of the right keys and no other, or with --incomplete for now"
        raise Misused(error.problem, remedy=error.remedy or plain) from None


def _render_signed(target: Path, shown: DocumentShown) -> None:
    signers = ", ".join(shown.signed_by)
    say(f"{target}: {shown.issuer}/{shown.name}, version {shown.version}, signed by {signers}")
    say(f"  issuer     {shown.issuer_id}")
    render_compared(shown)
    if not shown.is_complete:
        say(f"  needs      {shown.needed} of the {shown.needed_of}: see `sojourn policy seal`")


def _thresholds(given: tuple[str, ...]) -> dict[str, int]:
    found = {}
    for each in given:
        act, equals, count = each.partition("=")
        if act not in ACTS or not equals or not is_number(count):
            remedy = f"Write ACT=N, such as amend=2; acts are {', '.join(ACTS)}"
            raise Misused(f"--threshold is {each[:40]!r}", remedy=remedy)
        found[act] = int(count)
    return found


_previous_option = click.option(
    "--previous", type=_FILE, help="The signed document that it succeeds, if it does."
)


@policy.command()
@click.argument("file", type=_FILE)
@click.option("--key", required=True, help="Your key: an officer's, or one of the root's.")
@_previous_option
@json_option
@with_home
def seal(home: Home, *, file: Path, key: str, previous: Path | None, as_json: bool) -> None:
    """Add your seal to the signed document FILE, of which several have to sign.

    It shows what you sign: what the new text permits that the old one did not, and what it no longer does.

    Example:
      sojourn policy seal eu-finance-2.signed --key bob --previous eu-finance.signed
    """
    signed, old = read_signed(file), read_signed(previous).document if previous else None
    if old is None and signed.document.previous is not None:
        problem = f"{file} succeeds another document, whose officers sign it"
        raise Misused(problem, remedy="Give that one with --previous")
    pair = home.key(key, Purpose.OFFICER)
    if pair.public in {each.signer for each in signed.seals}:
        raise Misused(f"{key} has signed {file} already", remedy="Let the others sign it")
    check_follows(signed, old)
    (mine,) = sign_document(signed.document, [pair]).seals
    both = msgspec.structs.replace(signed, seals=(*signed.seals, mine))
    try:
        check_follows(both, old)
    except Rejected as error:
        raise Misused(error.problem, remedy="Sign with a key that it needs") from None
    write_signed(file, both)
    emit(document_shown(both, old), as_json, lambda shown: _render_signed(file, shown))


@policy.command()
@click.argument("agent")
@click.option(
    "--into",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=".",
    help="The folder to write to.  [default: this one]",
)
@json_option
@with_home
def get(home: Home, *, agent: str, into: Path, as_json: bool) -> None:
    """Write the documents that rule the agent AGENT to files, to be succeeded.

    They are as its record names them. Their seals are not in the files: an export holds those.

    Example:
      sojourn policy get risk-desk
      sojourn policy sign eu-finance.cedar --previous eu-finance-1.signed
    """

    async def work() -> tuple[Path, ...]:
        async with reaching() as reach:
            return await fetch_policies(reach, home, agent, into)

    files = tuple(map(str, perform(work())))
    emit(PolicyFiles(files), as_json, lambda found: say("\n".join(found.files)))


@policy.command()
@click.argument("file", type=_FILE)
@_previous_option
@json_option
def show(file: Path, previous: Path | None, as_json: bool) -> None:
    """Show the signed document FILE, head or mandate: what it says, who signed it, and whether that is enough.

    Of a successor the document before says who has to sign it: give that with --previous.

    Example:
      sojourn policy show eu-finance.signed
    """
    if (vouched := read_head(file)) is not None:
        if previous is not None:
            raise Misused(f"{file} is a head, and succeeds nothing", remedy="Leave out --previous")
        emit(head_shown(vouched), as_json, render_head)
        return
    if (mandate := mandate_in(file)) is not None:
        emit(delegations_shown(mandate), as_json, render_delegations)
        return
    signed, old = read_signed(file), read_signed(previous).document if previous else None
    if old is not None or signed.document.previous is None:
        check_follows(signed, old)
    emit(document_shown(signed, old), as_json, render_document)
