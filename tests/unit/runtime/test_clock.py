"""The clocks: this machine's, unless other ones are given to the code in its context."""

import contextvars
import time

from sojourn.runtime.processes import clock


class Stopped:
    """Clocks that stand still."""

    def wall_ms(self) -> int:
        return 1

    def boot_ms(self) -> int:
        return 2

    def boot_id(self) -> bytes:
        return b"3" * 32


def test_clocks_are_this_machines() -> None:
    assert abs(clock.wall_ms() - time.time() * 1000) < 10_000
    before = clock.boot_ms()
    assert before <= clock.boot_ms()
    assert clock.boot_id() == clock.boot_id()
    assert len(clock.boot_id()) == 32


def test_other_clocks_are_given_to_a_context_and_to_no_other() -> None:
    context = contextvars.copy_context()
    context.run(clock.given.set, Stopped())
    assert (1, 2, b"3" * 32) == context.run(
        lambda: (clock.wall_ms(), clock.boot_ms(), clock.boot_id())
    )
    assert clock.wall_ms() > 1_000_000
