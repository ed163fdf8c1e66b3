"""Ways to change what a block says: by accident, or as one would who knows the format."""

import random
from collections.abc import Callable
from typing import Any

Items = list[Any]


def swapped(rng: random.Random, items: Items) -> Items:
    one, other = rng.randrange(len(items)), rng.randrange(len(items))
    items[one], items[other] = items[other], items[one]
    return items


def dropped(rng: random.Random, items: Items) -> Items:
    del items[rng.randrange(len(items))]
    return items


def repeated(rng: random.Random, items: Items) -> Items:
    at = rng.randrange(len(items))
    return [*items[:at], items[at], *items[at:]]


def altered(rng: random.Random, items: Items) -> Items:
    at = rng.randrange(len(items))
    value = items[at]
    if isinstance(value, bytes) and value:
        byte = rng.randrange(len(value))
        items[at] = value[:byte] + rng.randbytes(1) + value[byte + 1 :]
    elif isinstance(value, str):
        items[at] = rng.choice((value + "a", value + "0", value[:-1]))
    elif type(value) is int:
        items[at] = value + rng.choice((-1, 1, 8, 256))
    return items


Change = Callable[[random.Random, Items], Items]
CHANGES: list[Change] = [swapped, dropped, repeated, altered]


def in_one_list(rng: random.Random, change: Change, plain: Items) -> Items:
    """Change one of the lists in a block."""
    chosen = rng.choice([at for at, part in enumerate(plain) if isinstance(part, list) and part])
    return [change(rng, [*p]) if at == chosen else p for at, p in enumerate(plain)]


def in_all_lists(rng: random.Random, change: Change, plain: Items) -> Items:
    """Change all lists in a block alike, and the starts of a branch, which are parallel to them."""
    seed = rng.random()

    def alike(at: int, part: Any) -> Any:
        if isinstance(part, list) and part:
            return change(random.Random(seed), [*part])
        if isinstance(part, bytes) and at == 2:
            return bytes(change(random.Random(seed), [*part]))
        return part

    return [alike(at, part) for at, part in enumerate(plain)]


def outside(rng: random.Random, change: Change, plain: Items) -> Items:
    """Change the fields of a block themselves."""
    return [plain[0], *change(rng, plain[1:])]


def mutated(rng: random.Random, plain: Items) -> Items:
    """Change a leaf or branch in one of these ways."""
    where = rng.choice((in_one_list, in_one_list, in_all_lists, outside))
    change = rng.choice((swapped, dropped) if where is in_all_lists else CHANGES)
    return where(rng, change, plain)
