"""The failure of a test that waited for something."""

__all__ = ["Unmet"]


class Unmet(AssertionError):
    """What a test expected of a world, or of a rehearsal, did not come."""
