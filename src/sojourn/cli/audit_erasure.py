"""`sojourn audit erasure`: what a certificate of erasure proves, with no network."""

from pathlib import Path

import click
import msgspec

from sojourn.cli.capsule import read_capsule
from sojourn.cli.erasing import read_certificate
from sojourn.cli.options import json_option
from sojourn.cli.output import emit, say, when
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.protocol.capsule import VerifiedCapsule
from sojourn.core.protocol.keeping import ErasureCertificate

__all__ = ["ErasureShown", "erasure"]

_FILE = click.Path(dir_okay=False, path_type=Path)


class ErasureShown(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate proves. `compartments` and `recorded` are None where no capsule was given.

    `recorded` says whether the agent's own record marks them as erased: one that had ended by then does not.
    """

    agent: str
    keys: tuple[str, ...]
    zone: str
    zone_name: str
    ordered_ms: int
    officers: tuple[str, ...]
    anchors: tuple[int, ...]
    of: int
    complete: bool
    compartments: tuple[str, ...] | None = None
    recorded: bool | None = None


@click.command()
@click.argument("certificate", type=_FILE)
@click.option(
    "--capsule", "capsule_file", type=_FILE, help="The agent's capsule, to check whose order it is."
)
@json_option
def erasure(certificate: Path, capsule_file: Path | None, as_json: bool) -> None:
    """Verify the CERTIFICATE of an erasure, with no network, and say what it proves.

    With the agent's capsule it is checked, too, that its officers ordered it, that the keys are those of its
    compartments, and that the zone is one of its chain of custody. Ends with exit code 4 if it does not hold.

    Example:
      sojourn audit erasure risk-desk.erasure --capsule desk.car
    """
    made = read_certificate(certificate)
    capsule = read_capsule(capsule_file) if capsule_file is not None else None
    emit(_shown(made, capsule), as_json, _render)


def _shown(made: ErasureCertificate, capsule: VerifiedCapsule | None) -> ErasureShown:
    manifest, order = made.manifest.manifest, made.order.order
    shown = ErasureShown(
        agent=cid_text(order.agent),
        keys=tuple(key.hex() for key in order.keys),
        zone=cid_text(manifest.zone_id),
        zone_name=manifest.name,
        ordered_ms=order.issued_ms,
        officers=tuple(key_text(seal.signer) for seal in made.order.seals),
        anchors=tuple(each.erasure.anchor for each in made.statements),
        of=len(manifest.anchors),
        complete=made.is_complete,
    )
    if capsule is None:
        return shown
    compartments, is_recorded = _held_against(made, capsule)
    return msgspec.structs.replace(shown, compartments=compartments, recorded=is_recorded)


def _held_against(
    made: ErasureCertificate, verified: VerifiedCapsule
) -> tuple[tuple[str, ...], bool]:
    """Return which compartments were erased, and whether the record says so. Raises `Rejected` if it differs."""
    order, capsule = made.order.order, verified.capsule
    record = capsule.head.record
    if record.agent_id != order.agent:
        raise Rejected("the capsule is another agent's", reason="wrong-agent", where="order.agent")
    made.order.check_officers(verified.documents[0])
    zones = {signed.manifest.zone_id for signed in capsule.manifests}
    if made.manifest.manifest.zone_id not in zones:
        problem = "the agent never was in that zone"
        raise Rejected(problem, reason="wrong-zone", where="manifest")
    under = {
        name: each.encryption
        for name, each in sorted(record.memory.compartments.items())
        if each.encryption is not None and each.encryption.key in order.keys
    }
    if {each.key for each in under.values()} != set(order.keys):
        problem = "no compartment of the agent is encrypted under one of these keys"
        raise Rejected(problem, reason="wrong-key", where="order.keys")
    return tuple(under), all(each.is_erased for each in under.values())


def _render(shown: ErasureShown) -> None:
    say(
        f"The certificate holds: {len(shown.anchors)} of {shown.of} anchors of {shown.zone_name} state, under their"
    )
    say(f"seals, that they hold no share of {len(shown.keys)} keys of agent {shown.agent},")
    say(f"by the order of {when(shown.ordered_ms)} that {', '.join(shown.officers)} sealed.")
    if shown.complete:
        say(
            "All anchors state it: the key is gone, unless more of them lie than the zone tolerates."
        )
    else:
        say(
            "The others have not stated it yet: see to it that they do, and that none of their disks is lost."
        )
    if shown.compartments is None:
        say(
            "Whose keys these are, and whether its officers ordered it, its capsule says: --capsule."
        )
        return
    say(f"Its officers ordered it. Erased: {', '.join(shown.compartments)}.")
    if not shown.recorded:
        say("The record in the capsule does not say so: it is from before, or the agent had ended.")
