"""Agents, zones, requests and policies to ask about; each sample is one call away from another."""

from typing import Any

from sojourn.core.policy.document import PolicyDocument
from sojourn.core.policy.engine import PreparedPolicy, prepare
from sojourn.core.policy.request import AgentEntity, PolicyRequest, RequestContext, ZoneEntity

EU_FINANCE = """\
// Where the risk desk may work.
@id("eu-only")
permit (
  principal,
  action in [Action::"execute", Action::"travel", Action::"order.place"],
  resource
)
when { resource.jurisdiction.contains("EU") };

@id("confidential-stays") @reason("GDPR article 44")
forbid (principal, action == Action::"travel", resource)
when { context.labels.contains("client-confidential") && !resource.jurisdiction.contains("EU") };

permit (principal, action == Action::"travel", resource)
when { resource has price_micros && resource.price_micros == 0 };
"""

AGENT = AgentEntity(id="agent-1", issuer="issuer-1", code="code-1", realm="test")


def zone(name: str = "aws-eu-west-1", **changes: Any) -> ZoneEntity:
    """Return a zone in Ireland, changed."""
    settings: dict[str, Any] = {
        "id": f"id-of-{name}",
        "name": name,
        "provider": "aws",
        "region": "eu-west-1",
        "country": "IE",
        "jurisdiction": ("EU", "IE"),
        "certifications": ("iso27001",),
        "price_micros": 384_000,
        "anchors": 4,
        "operators": 4,
    }
    return ZoneEntity(**(settings | changes))


IRELAND = zone()
VIRGINIA = zone("aws-us-east-1", country="US", jurisdiction=("US",))


def request(
    action: str = "travel",
    where: ZoneEntity = IRELAND,
    *,
    origin: ZoneEntity | None = None,
    **context: Any,
) -> PolicyRequest:
    """Return the request of `AGENT` for an action, with these circumstances."""
    return PolicyRequest(
        agent=AGENT,
        action=action,
        zone=where,
        origin=origin,
        context=RequestContext(**context),
    )


def policy(text: str, *actions: str, judges_foreign: bool = False) -> PreparedPolicy:
    """Return one document's policy, prepared."""
    document = PolicyDocument(name="sample", text=text, actions=actions)
    return prepare([document], judges_foreign=judges_foreign)


def eu_finance() -> PreparedPolicy:
    """Return the policy of the risk desk, prepared."""
    return prepare([PolicyDocument(name="eu-finance", text=EU_FINANCE, actions=("order.place",))])


def marked(text: str) -> tuple[str, str]:
    """Return a text without the "^" in it, and the "line:column" of what stood behind that."""
    before, _, after = text.partition("^")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return before + after, f"{line}:{column}"
