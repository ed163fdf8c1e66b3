"""The places of a rehearsal: what a zone would be to the agent, in the words of a test."""

from collections.abc import Collection, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Final

from sojourn.core.agent.capabilities import Offer
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Denied
from sojourn.runtime.host_side.turnstile import Limit
from sojourn.runtime.ports import Assessment, Finding
from sojourn.testing.founding import PERMIT_ALL

__all__ = ["OFFERED", "Place"]

OFFERED: Final = Offer(slots=8, cpu_millis=8_000, memory_mib=65_536, confines=True)


@dataclass(frozen=True, slots=True)
class Place:
    """A place that a rehearsed agent is in, or knows of: what a zone would be.

    `price` is what it costs per hour, in currency units; None: nobody there offers anything. The gate there denies
    the actions in `denies` (with why, if it is a mapping), and permits those in `asks` only once approved, within
    `asks_for` seconds; `agree` people have to answer `ctx.ask` alike. `ineligible` says why policies, capabilities or
    trust forbid the place; `refuses` why it takes nobody in who comes. `stays` names compartments that may not be
    there; nor may what has a residency outside `jurisdiction`, or is encrypted and under a key of another place.
    `offer` is what is free there, and whether hosts confine code that requires it. `secrets` are what steps are
    handed, `queues` what attempts wait for. `policy` is the place's own, in Cedar: asked beside the agent's, where
    that has one (`rehearse(..., policy=...)`).
    """

    name: str
    _: KW_ONLY
    price: float | None = 1.0
    denies: Mapping[str, str] | Collection[str] = ()
    asks: Collection[str] = ()
    asks_for: float = 86_400.0
    agree: int = 1
    ineligible: str = ""
    refuses: str = ""
    stays: tuple[str, ...] = ()
    offer: Offer = OFFERED
    secrets: Mapping[str, str] = field(default_factory=dict)
    queues: Mapping[str, Limit] = field(default_factory=dict)
    policy: str = PERMIT_ALL
    jurisdiction: tuple[str, ...] = ("EU",)

    @property
    def zone(self) -> bytes:
        """The identifier of the zone that it stands for."""
        return digest(b"a place|" + self.name.encode())

    def why_denied(self, action: str) -> str | None:
        """Return why the gate denies an action here; None if it does not."""
        if action not in self.denies:
            return None
        why = self.denies[action] if isinstance(self.denies, Mapping) else ""
        return f"{action} is denied in {self.name}" + (f": {why}" if why else "")

    def check_permitted(self, action: str) -> None:
        """Raise `Denied` if the gate denies an action here."""
        why = self.why_denied(action)
        if why is not None:
            raise Denied(why, remedy="This place was rehearsed so: see Place(denies=...)")

    def assessed(self, current: bytes, staying: tuple[str, ...]) -> Assessment:
        """Return the agent's judgement of it, from where it is, with the compartments that would stay behind."""
        yes = Finding(passes=True, reasons=())
        no = Finding(passes=False, reasons=(self.ineligible,))
        micros = None if self.price is None else round(self.price * 1_000_000)
        return Assessment(
            zone=self.zone,
            name=self.name,
            governance=no if self.ineligible else yes,
            capability=yes,
            trust=yes,
            price_micros=micros,
            host=None,
            stays=staying,
            current=self.zone == current,
        )
