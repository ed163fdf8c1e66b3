"""`sojourn agent upgrade`: other code for an agent that lives, by order of its officers."""

from datetime import datetime
from pathlib import Path

import click
import msgspec

from sojourn.cli.carrying import any_bearer, carry, decide_borne
from sojourn.cli.finding import Found
from sojourn.cli.giving_orders import named_officers
from sojourn.cli.help import Command
from sojourn.cli.home import Home
from sojourn.cli.options import MOMENT, json_option, milliseconds, with_home
from sojourn.cli.output import emit, say
from sojourn.cli.reach import Reach, perform, reaching
from sojourn.cli.releases import RELEASE_SUFFIX, Release, code_block, read_release, release_of
from sojourn.core.agent.capabilities import Upgrade
from sojourn.core.agent.eligibility import ACTING
from sojourn.core.agent.orders import Act, Order
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Misused, Refused
from sojourn.core.base.keys import KeyPair
from sojourn.core.protocol.ordering import carrying, sealed
from sojourn.runtime.processes import clock
from sojourn.runtime.processes.keyfile import Purpose

__all__ = ["Upgraded", "given_release", "upgrade", "upgrade_agent"]

_LASTS_MS = 10 * 60 * 1000
"""An order that is carried at once need not last."""


class Upgraded(msgspec.Struct, frozen=True, kw_only=True):
    """An upgrade that was ordered: it is adopted at the agent's next restart point, or given up there."""

    agent: str
    version: int
    zone: str
    replaces: str
    code: str
    entry: str
    publisher: str


@click.command(cls=Command)
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--key",
    "keys",
    multiple=True,
    help="An officer's key that orders it; may be repeated.  [default: the only one here]",
)
@click.option(
    "--publisher", help="The publisher's key, for an agent file.  [default: the officer's]"
)
@click.option("--reason", default="", help="Why, for its lineage.")
@click.option("--until", type=MOMENT, help="When the order lapses.  [default: in ten minutes]")
@json_option
@with_home
def upgrade(
    home: Home,
    *,
    name: str,
    file: Path,
    keys: tuple[str, ...],
    publisher: str | None,
    reason: str,
    until: datetime | None,
    as_json: bool,
) -> None:
    """Upgrade the agent NAME to the code of FILE, by order of its officers.

    FILE is an agent file, beside which the code lies, or a release (`sojourn code sign`). The agent goes on with the
    code that it has until its next restart point; there the new code is tried: its upgrade step, if it declares one,
    or a replay of what stands before the loop. If that fails, or the code cannot be loaded, the agent keeps what it
    has, and its journal says why. `sojourn agent replay NAME --code FILE` tries it beforehand, here.

    Example:
      sojourn agent upgrade risk-desk risk_desk.toml --reason "the new curve"
    """
    officers = [officer.key for officer in named_officers(home, keys)]
    release = given_release(home, file, publisher, officers[0])

    async def work() -> Upgraded:
        async with reaching() as reach:
            return await upgrade_agent(reach, home, name, release, officers, reason, until)

    emit(perform(work()), as_json, lambda done: _render(name, done))


def given_release(home: Home, file: Path, publisher: str | None, officer: KeyPair) -> Release:
    """Return the release in a file, or that of the code beside an agent file: sealed by a publisher, or an officer.

    Raises `Misused`; `Rejected` as `read_release`.
    """
    if file.suffix != RELEASE_SUFFIX:
        by = home.key(publisher, Purpose.PUBLISHER) if publisher is not None else officer
        return release_of(file, by)
    if publisher is not None:
        problem = f"{file} is sealed by its publisher already"
        raise Misused(problem, remedy="Leave --publisher out")
    return read_release(file)


async def upgrade_agent(
    reach: Reach,
    home: Home,
    name: str,
    release: Release,
    officers: list[KeyPair],
    reason: str,
    until: datetime | None = None,
) -> Upgraded:
    """Have officers' order carried out where the agent with a local name is, with the code riding along.

    Raises as `carry`; `Misused` if the agent has that code already, or waits for it; `Refused` if it has ended, or is
    between zones.
    """
    block = code_block(release.source)

    async def once(found: Found) -> Upgraded:
        capabilities = found.record.capabilities
        _check_upgradable(name, found, release)
        now_ms = clock.wall_ms()
        given = Order(
            agent=found.record.agent_id,
            act=Act.UPGRADE,
            issued_ms=now_ms,
            expires_ms=now_ms + _LASTS_MS if until is None else milliseconds(until),
            upgrade=Upgrade(
                replaces=capabilities.code,
                code=release.code,
                entry=release.entry,
                publisher=release.vouched.signer,
                vouched=release.vouched,
            ),
        )
        if given.expires_ms <= now_ms:
            raise Misused("the order would have lapsed already", remedy="Give a later --until")
        signed = sealed(given, officers)
        proposal = carrying(signed, found.head, any_bearer(), at_ms=now_ms, reason=reason)
        head = await decide_borne(reach, found, proposal, (block,))
        return Upgraded(
            agent=cid_text(found.record.agent_id),
            version=head.record.version,
            zone=found.zone.name,
            replaces=cid_text(capabilities.code),
            code=cid_text(release.code),
            entry=release.entry,
            publisher=release.vouched.signer.hex(),
        )

    return await carry(reach, home, name, once)


def _check_upgradable(name: str, found: Found, release: Release) -> None:
    record = found.record
    if record.eligibility.status not in ACTING:
        problem = f"{name} is {record.eligibility.describe()}: it takes no code now"
        raise Refused(problem, remedy="Order it when the agent is in a zone, and has not ended")
    if release.code in record.capabilities.codes:
        has = "has" if release.code == record.capabilities.code else "waits for"
        problem = f"{name} {has} this code already: {cid_text(release.code)}"
        raise Misused(problem, remedy="Nothing is to be done: `sojourn agent show` shows it")


def _render(name: str, done: Upgraded) -> None:
    say(
        f"{name} is to have other code from its next restart point on, since version {done.version}"
    )
    say(f"  now  {done.replaces}")
    say(f"  then {done.code}, {done.entry}")
