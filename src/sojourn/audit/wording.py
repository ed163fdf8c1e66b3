"""How a report's values are said to people: times, counts, keys, and who vouches for a line."""

from datetime import UTC, datetime

from sojourn.audit.report import Proof

__all__ = ["brief", "counted", "listed", "proof_text", "shortened", "when"]


def when(at_ms: int | None) -> str:
    """Return a time in UTC; a dash for one that is not known, the number for one that no calendar has."""
    if at_ms is None:
        return "–"
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{at_ms} ms"


def counted(count: int, thing: str) -> str:
    """Return so many of a thing: "1 order", "2 orders"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def listed(names: tuple[str, ...], none: str = "–") -> str:
    """Return names in one line."""
    return ", ".join(names) or none


def shortened(identifier: str) -> str:
    """Return the end of an identifier: enough to tell it from others in one report."""
    return f"…{identifier[-8:]}" if len(identifier) > 12 else identifier


def brief(reason: str) -> str:
    """Return the gist of why something was denied: of an explanation, whose policy answered, and the first rule."""
    first, *rest = reason.strip().splitlines() or [""]
    if not rest:
        return first
    rule = rest[1].strip().partition("): ")[0] if len(rest) > 1 else ""
    return f"{rest[0].strip()} {rule}{')' if '(' in rule else ''}".strip()


def proof_text(proof: Proof) -> str:
    """Return who vouches for a line, in a few words."""
    match proof.by:
        case "transition":
            anchors = ",".join(map(str, proof.anchors))
            also = f", record {proof.index}" if proof.index is not None else ""
            return f"v{proof.version} by anchors {anchors}{also}"
        case "journal":
            return f"journal, record {proof.index}"
        case "lines":
            return f"{len(proof.lines)} lines" if len(proof.lines) > 2 else listed(proof.lines)
        case "document" | "manifest":
            return f"{proof.by} {shortened(proof.digest)}"
        case _:
            return proof.by
