"""`sojourn policy`: check Cedar text, sign it as a document, show one."""

import time
from datetime import datetime
from pathlib import Path

import click
import msgspec

from sojourn.cli.approvers_file import declared_approvers, read_sections
from sojourn.cli.documents import (
    SIGNED_SUFFIX,
    read_founding,
    read_signed,
    sign_document,
    write_signed,
)
from sojourn.cli.help import Group
from sojourn.cli.home import Home
from sojourn.cli.options import MOMENT, is_number, json_option, milliseconds, with_home
from sojourn.cli.output import counted, duration, emit, say, when
from sojourn.cli.policy_corpus import corpus
from sojourn.cli.policy_diff import diff
from sojourn.cli.policy_text import read_policy
from sojourn.core.agent.governance import (
    Document,
    Officers,
    SignedDocument,
    check_successor,
    issuer_id,
)
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.policy.document import PolicyDocument, read_rules
from sojourn.runtime.keyfile import Purpose

__all__ = ["policy"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_ACTS = ("amend", "revoke", "move", "retire")


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


class ApproversShown(msgspec.Struct, frozen=True):
    """A group of approvers: keys in hexadecimal, how many it takes, and when another may approve too."""

    keys: tuple[str, ...]
    needed: int
    lasts_ms: int
    escalate_to: str | None
    after_ms: int


class DocumentShown(msgspec.Struct, frozen=True, kw_only=True):
    """A signed document. Keys are hexadecimal, times milliseconds since 1970; `signed_by` fingerprints.

    `issuer_id` is what policies know the issuer by: `principal.issuer`. `issuer` is what it calls itself.
    """

    digest: str
    issuer: str
    issuer_id: str
    name: str
    version: int
    previous: str | None
    officers: tuple[str, ...]
    thresholds: dict[str, int]
    not_before_ms: int
    not_after_ms: int
    actions: tuple[str, ...]
    outside_effects: bool
    approvers: dict[str, ApproversShown]
    signed_by: tuple[str, ...]
    cedar: str


@click.group(cls=Group)
def policy() -> None:
    """Check and sign policies.

    Policies are Cedar text over a published schema: the agent is the principal, the zone the resource. What no
    rule permits is denied, and any forbid wins.
    """


policy.add_command(corpus)
policy.add_command(diff)


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
@click.option("--issuer", required=True, help="Whose policy it is, in words.")
@click.option("--name", help="What it is called.  [default: the file's own name]")
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
    help="Who may act for the issuer; repeatable.  [default: who signs]",
)
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="ACT=N",
    help="Officers that an act needs; repeatable.  [default: 1]",
)
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
    "--output", type=_FILE, help="Where to write it.  [default: FILE with the suffix .signed]"
)
@json_option
@with_home
def sign(
    home: Home,
    *,
    file: Path,
    issuer: str,
    name: str | None,
    keys: tuple[str, ...],
    officers: tuple[str, ...],
    thresholds: tuple[str, ...],
    previous: Path | None,
    version: int | None,
    actions: str,
    approvers: Path | None,
    outside_effects: bool,
    not_before: datetime | None,
    not_after: datetime | None,
    output: Path | None,
    as_json: bool,
) -> None:
    r"""Sign the policy FILE as a document of an issuer, for agents to carry.

    A successor is signed by the officers of the document before it: an amendment cannot appoint its own judges.

    Examples:
      sojourn policy sign eu-finance.cedar --issuer acme --key acme-compliance
      sojourn policy sign eu-finance.cedar --issuer acme --previous eu-finance.signed \
          --key alice --key bob --threshold amend=2 --output eu-finance-2.signed
    """
    pairs = [home.key(each, Purpose.OFFICER) for each in keys or (home.only_key(Purpose.OFFICER),)]
    old = read_signed(previous).document if previous else None
    named = tuple(home.public_key(each) for each in officers)
    groups = declared_approvers(home, read_sections(approvers))
    document = Document(
        issuer=issuer,
        name=name or file.stem,
        version=version or (old.version + 1 if old else 1),
        officers=Officers(
            keys=named or (old.officers.keys if old else tuple(pair.public for pair in pairs)),
            **_thresholds(thresholds),
        ),
        cedar=read_policy(file, _actions(actions), groups),
        not_before_ms=milliseconds(not_before) if not_before else time.time_ns() // 1_000_000,
        not_after_ms=milliseconds(not_after),
        actions=_actions(actions),
        previous=digest_of(old) if old else None,
        outside_effects=outside_effects,
        approvers=groups,
    )
    signed = sign_document(document, pairs)
    _check_signed(signed, old)
    target = output or file.with_suffix(SIGNED_SUFFIX)
    if target.exists():
        raise Misused(f"{target} exists already", remedy="Choose another file with --output")
    write_signed(target, signed)

    def render(shown: DocumentShown) -> None:
        say(
            f"{target}: {shown.issuer}/{shown.name}, version {shown.version}, signed by "
            f"{', '.join(shown.signed_by)}"
        )
        say(f"  issuer     {shown.issuer_id}")

    emit(_shown(signed), as_json, render)


def _check_signed(signed: SignedDocument, old: Document | None) -> None:
    """Raise `Misused` unless these officers' seals make it hold: by itself, or after its predecessor."""
    document = signed.document
    if document.not_before_ms >= document.not_after_ms:
        raise Misused("the document would never hold", remedy="Give --not-after a later time")
    try:
        if old is not None:
            check_successor(old, signed)
        else:
            signed.check(document.officers, document.officers.amend)
    except Rejected as error:
        remedy = "Sign with enough of the officers' keys, and no other"
        raise Misused(error.problem, remedy=remedy) from None


def _thresholds(given: tuple[str, ...]) -> dict[str, int]:
    found = {}
    for each in given:
        act, equals, count = each.partition("=")
        if act not in _ACTS or not equals or not is_number(count):
            remedy = f"Write ACT=N, such as amend=2; acts are {', '.join(_ACTS)}"
            raise Misused(f"--threshold is {each[:40]!r}", remedy=remedy)
        found[act] = int(count)
    return found


@policy.command()
@click.argument("file", type=_FILE)
@json_option
def show(file: Path, as_json: bool) -> None:
    """Show the signed document FILE, and who signed it.

    A first version must be signed by enough of the officers that it names; a successor is shown as it is, since
    whether it holds depends on the document before it.

    Example:
      sojourn policy show eu-finance.signed
    """
    signed = read_signed(file)
    if signed.document.previous is None:
        signed = read_founding(file)
    emit(_shown(signed), as_json, _render)


def _shown(signed: SignedDocument) -> DocumentShown:
    document, officers = signed.document, signed.document.officers
    return DocumentShown(
        digest=cid_text(digest_of(document)),
        issuer=document.issuer,
        issuer_id=cid_text(issuer_id(document)),
        name=document.name,
        version=document.version,
        previous=cid_text(document.previous) if document.previous else None,
        officers=tuple(key.hex() for key in officers.keys),
        thresholds={act: getattr(officers, act) for act in _ACTS},
        not_before_ms=document.not_before_ms,
        not_after_ms=document.not_after_ms,
        actions=document.actions,
        outside_effects=document.outside_effects,
        approvers={
            name: ApproversShown(
                tuple(key.hex() for key in group.keys),
                group.needed,
                group.lasts_ms,
                group.escalate_to,
                group.after_ms,
            )
            for name, group in document.approvers.items()
        },
        signed_by=tuple(key_text(seal.signer) for seal in signed.seals),
        cedar=document.cedar,
    )


def _group(group: ApproversShown) -> str:
    more = ""
    if group.escalate_to is not None:
        more = f"; after {duration(group.after_ms)} {group.escalate_to} too"
    lasts = f"for {duration(group.lasts_ms)}"
    return f"{group.needed} of {len(group.keys)}, {lasts}{more}: {', '.join(group.keys)}"


def _render(shown: DocumentShown) -> None:
    needs = ", ".join(f"{act} {count}" for act, count in shown.thresholds.items())
    say(f"{shown.issuer}/{shown.name}, version {shown.version}")
    say(f"  issuer     {shown.issuer_id}")
    say(f"  document   {shown.digest}")
    say(f"  holds      {when(shown.not_before_ms)} until {when(shown.not_after_ms)}")
    say(f"  officers   {len(shown.officers)}: {', '.join(shown.officers)}")
    say(f"  needs      {needs}")
    say(f"  signed by  {', '.join(shown.signed_by)}")
    if shown.previous:
        say(f"  succeeds   {shown.previous}")
    if shown.actions:
        say(f"  actions    {', '.join(shown.actions)}")
    for name, group in sorted(shown.approvers.items()):
        say(f"  approvers  {name}: {_group(group)}")
    if shown.outside_effects:
        say("  lets the agent act outside its zone")
    say("")
    for line in shown.cedar.strip().splitlines():
        say(f"  {line}")
