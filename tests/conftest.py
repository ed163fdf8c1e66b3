"""How property tests run: the same examples every time in `make check`, new ones in a soak."""

import gc
import os

from hypothesis import settings

# No deadlines: a shared machine is now and then slow, and that is no fault of the code. No random
# examples in CI either: a change is judged by what it changes. A soak looks for what nobody thought of.
settings.register_profile("check", deadline=None, derandomize=True)
settings.register_profile("soak", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "check"))


def pytest_collection_finish() -> None:
    """Let the collector of cycles pass over what was loaded, thousands of tests among it, from here on.

    The tests that run a test within them have pytest collect twice; at a second each that was half of what they took.
    """
    gc.collect()
    gc.freeze()
