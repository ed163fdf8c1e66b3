"""What the tests of the wire share."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(scope="module")
def hushed() -> Iterator[None]:
    """Keep an anchor's complaints about hostile bytes out of the output."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()
