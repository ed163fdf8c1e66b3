"""The commands that give an order: their options, and what they all do with it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TypedDict

import click

from sojourn.cli.agent_view import budgets_text
from sojourn.cli.home import Home
from sojourn.cli.launching import Officer
from sojourn.cli.options import MOMENT, json_option
from sojourn.cli.ordering import OnItsWay, Ordered, order, signed_order
from sojourn.cli.output import emit, note, say, when
from sojourn.cli.publishing import render_told, write_order
from sojourn.cli.reach import perform, reaching
from sojourn.core.agent.orders import Act
from sojourn.runtime.processes.keyfile import Purpose

__all__ = ["OrderOptions", "give_order", "named_officers", "order_options"]

_FILE = click.Path(dir_okay=False, path_type=Path)


def named_officers(home: Home, names: tuple[str, ...]) -> list[Officer]:
    """Return the officers of some names, or the only one here. Raises `Misused`."""
    chosen = names or (home.only_key(Purpose.OFFICER),)
    return [Officer(Path(name).stem, home.key(name, Purpose.OFFICER)) for name in chosen]


class OrderOptions(TypedDict):
    """What every command takes that gives an order."""

    keys: tuple[str, ...]
    reason: str
    until: datetime | None
    under: Path | None
    output: Path | None
    as_json: bool


def order_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add to a command the options that `OrderOptions` holds."""
    options = (
        click.option(
            "--key",
            "keys",
            multiple=True,
            help="An officer's key that orders it; may be repeated.  [default: the only one here]",
        ),
        click.option("--reason", default="", help="Why, for its lineage."),
        click.option(
            "--until", type=MOMENT, help="When it lapses if not carried out.  [default: in a week]"
        ),
        click.option("--under", type=_FILE, help="Order it as a delegate, under this mandate."),
        click.option("--output", type=_FILE, help="Only write it to this file, to be published."),
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def give_order(
    home: Home,
    name: str,
    act: Act,
    options: OrderOptions,
    grants: Mapping[str, int] | None = None,
) -> None:
    """Have officers order an act, or write the order to a file."""
    officers = [officer.key for officer in named_officers(home, options["keys"])]
    signed = signed_order(
        home, name, act, officers, options["until"], grants, under=options["under"]
    )
    output = options["output"]
    if output is not None:
        written = write_order(output, signed)
        emit(written, options["as_json"], lambda _: say(f"{output}: the order to {act} {name}"))
        return

    async def work() -> Ordered | OnItsWay:
        async with reaching() as reach:
            return await order(reach, home, name, signed, options["reason"])

    emit(perform(work()), options["as_json"], lambda done: _render_order(name, done, grants or {}))


def _render_order(name: str, done: Ordered | OnItsWay, grants: Mapping[str, int]) -> None:
    if isinstance(done, Ordered):
        already = " already" if done.before else ""
        say(f"{name} is {done.status}{already}, at version {done.version} in {done.zone}")
        if grants:
            say(f"  {budgets_text({each: done.budgets[each] for each in sorted(grants)})}")
        return
    note(f"{name} cannot be reached now: {done.why}")
    render_told(done.published)
    say(f"It is carried out when it reaches {name}, until {when(done.expires_ms)}.")
