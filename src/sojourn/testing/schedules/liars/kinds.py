"""The kinds of lies there are, by name."""

from collections.abc import Mapping
from typing import Final

from sojourn.testing.schedules.liars.blind_votes import BlindVotes
from sojourn.testing.schedules.liars.captured import Captured
from sojourn.testing.schedules.liars.clinging import Clinging
from sojourn.testing.schedules.liars.double_departures import DoubleDepartures
from sojourn.testing.schedules.liars.double_votes import DoubleVotes
from sojourn.testing.schedules.liars.equivocation import Equivocation
from sojourn.testing.schedules.liars.false_admissions import FalseAdmissions
from sojourn.testing.schedules.liars.false_heads import FalseHeads
from sojourn.testing.schedules.liars.false_pasts import FalsePasts
from sojourn.testing.schedules.liars.false_watermarks import FalseWatermarks
from sojourn.testing.schedules.liars.false_work import FalseWork
from sojourn.testing.schedules.liars.forbidden_acts import ForbiddenActs
from sojourn.testing.schedules.liars.forged_binds import ForgedBinds
from sojourn.testing.schedules.liars.forged_letters import ForgedLetters
from sojourn.testing.schedules.liars.forged_orders import ForgedOrders
from sojourn.testing.schedules.liars.forgeries import Forgeries
from sojourn.testing.schedules.liars.forking import Forking, ForkingSteps
from sojourn.testing.schedules.liars.hoarding import Hoarding
from sojourn.testing.schedules.liars.late_answers import LateAnswers
from sojourn.testing.schedules.liars.leading import Leading
from sojourn.testing.schedules.liars.lie import HostLie, Lie
from sojourn.testing.schedules.liars.lying_promises import LyingPromises
from sojourn.testing.schedules.liars.old_snapshots import OldSnapshots
from sojourn.testing.schedules.liars.renewing import Renewing
from sojourn.testing.schedules.liars.replays import Replays
from sojourn.testing.schedules.liars.sieges import Sieges
from sojourn.testing.schedules.liars.stale_epochs import StaleEpochs
from sojourn.testing.schedules.liars.twins import Twins
from sojourn.testing.schedules.liars.withholding import Withholding

__all__ = ["ANCHORS", "HOSTS"]

ANCHORS: Final[Mapping[str, type[Lie]]] = {
    kind.name: kind
    for kind in (
        Twins,
        DoubleVotes,
        BlindVotes,
        Withholding,
        Forgeries,
        Replays,
        StaleEpochs,
        LyingPromises,
        FalseHeads,
        FalsePasts,
        FalseWork,
        FalseWatermarks,
        Leading,
        LateAnswers,
        Renewing,
        Forking,
        Captured,
    )
}
"""What anchors do."""

HOSTS: Final[Mapping[str, type[HostLie]]] = {
    kind.name: kind
    for kind in (
        Equivocation,
        OldSnapshots,
        Hoarding,
        Clinging,
        ForbiddenActs,
        ForgedLetters,
        ForgedOrders,
        DoubleDepartures,
        FalseAdmissions,
        ForgedBinds,
        ForkingSteps,
        Sieges,
    )
}
"""What hosts do."""
