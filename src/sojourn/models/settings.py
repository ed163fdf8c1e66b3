"""How calls of one declaration are made: which model, where, by which protocol, at what price."""

from typing import Final, Literal

import msgspec

from sojourn.models.prices import Prices, cost_micros

__all__ = ["ENDPOINTS", "NO_KEY", "OVERHEAD_TOKENS", "Protocol", "Settings"]

Protocol = Literal["openai", "native"]
"""OpenAI's, which most providers speak as well; or the provider's own."""
ENDPOINTS: Final = {
    "anthropic": "https://api.anthropic.com/v1/",
    "deepseek": "https://api.deepseek.com/v1",
    "google": "https://generativelanguage.googleapis.com/v1beta/openai/",
    "groq": "https://api.groq.com/openai/v1",
    "mistral": "https://api.mistral.ai/v1",
    "ollama": "http://localhost:11434/v1",
    "openai": "https://api.openai.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
}
"""Where providers speak OpenAI's protocol. Any other takes `base_url`, or the protocol "native"."""
OVERHEAD_TOKENS: Final = 64
"""What a provider's own frame around messages may take."""
NO_KEY: Final = "none"
"""What an endpoint that wants no key is given for one: clients that have none look for one in the environment."""
_PRICED_AS: Final = {
    "azureanthropic": "azure",
    "azureopenai": "azure",
    "bedrock": "aws",
    "gemini": "google",
    "moonshot": "moonshotai",
    "vertexai": "google",
    "vertexaianthropic": "google",
    "voyage": "voyageai",
    "xai": "x-ai",
}
"""What the table of prices calls providers that the library of protocols calls otherwise."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How calls of one declaration are made. `base_url` is empty where the library knows it."""

    model: str
    provider: str
    protocol: Protocol
    base_url: str
    secret: str
    output_tokens: int
    temperature: float | None
    prices: Prices | None
    timeout_s: float

    def cost_micros(self, tokens_in: int, tokens_out: int) -> int:
        """Return what so many tokens cost, in millionths of the currency unit. Raises `Misused` if nobody says."""
        provider = _PRICED_AS.get(self.provider, self.provider)
        return cost_micros(self.model, provider, self.prices, tokens_in, tokens_out)
