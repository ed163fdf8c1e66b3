"""What an anchor asks for before it judges: something must come first."""

from sojourn.core.base.errors import Refused

__all__ = ["Missing"]


class Missing(Refused):
    """Something must come first: `what` is "blocks", "parent", "proposal", "visa", or "time"."""

    def __init__(self, what: str, digests: tuple[bytes, ...] = ()) -> None:
        super().__init__(f"this anchor lacks {what} ({len(digests)})")
        self.what = what
        self.digests = digests
