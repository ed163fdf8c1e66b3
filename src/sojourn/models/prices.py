"""What a model call costs: by the author's own prices, or by the table that `genai-prices` ships."""

import math
from typing import Final, NamedTuple

from sojourn.core.base.errors import Misused

__all__ = ["PER", "Prices", "cost_micros"]

PER: Final = 1_000_000
"""Prices are for so many tokens."""


class Prices(NamedTuple):
    """Millionths of the currency unit for a million tokens, in and out. (0, 0) is free of charge."""

    input_micros: int
    output_micros: int


def cost_micros(
    model: str, provider: str, prices: Prices | None, input_tokens: int, output_tokens: int
) -> int:
    """Return what so many tokens cost, rounded up, in millionths of the currency unit (of US dollars, by the table).

    Raises `Misused` if nobody says.
    """
    if prices is not None:
        due = input_tokens * prices.input_micros + output_tokens * prices.output_micros
        return -(-due // PER)
    try:
        import genai_prices  # noqa: PLC0415 (optional, and a while to import)
    except ImportError:
        problem = "genai-prices, which knows what models cost, is not installed"
        raise Misused(problem, remedy="pip install 'sojourn[models]', or give prices=") from None
    usage = genai_prices.Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    try:
        found = genai_prices.calc_price(usage, model_ref=model, provider_id=provider or None)
    except LookupError:
        problem = f"nobody says what model {model!r} of {provider or 'any provider'} costs"
        remedy = "Give prices=(micros of a million tokens in, and out); (0, 0) is free of charge"
        raise Misused(problem, remedy=remedy) from None
    return math.ceil(found.total_price * 1_000_000)
