"""Files that people write, as seeds."""

from typing import Final

from tests import samples

__all__ = [
    "AGENT_FILE",
    "APPROVERS_FILE",
    "CEDAR",
    "CORPUS_TEST",
    "MODELS_FILE",
    "OFFER",
    "QUEUES",
    "SCHEDULES",
    "SECRETS_FILE",
]

AGENT_FILE: Final = """\
[agent]
entry = "agent:Agent"
[governance]
policies = ["rules.cedar"]
until = 2030-01-31
[trust]
issuers = ["acme", { key = "00", level = 3, depth = 2 }]
minimum = { travel = 3 }
[capabilities.requires]
cpu = 1.5
packages = ["numpy>=1.2"]
[memory.desk]
form = "mapping"
residency = ["EU"]
values = { a = 1, b = [1.5, "x"] }
[budgets]
calls = 10
[approvers.desk]
keys = ["alice"]
lasts = "8h"
escalate_to = "risk"
after = "90s"
"""
APPROVERS_FILE: Final = AGENT_FILE[AGENT_FILE.index("[approvers") :]
CEDAR: Final = (
    samples.PERMIT_ALL,
    (
        '@id("eu") permit (principal, action == Action::"travel", resource) when '
        '{ resource.jurisdiction.contains("EU") && context.cost_micros < 100 };\n// a comment\n'
        "forbid (principal, action, resource) unless { principal.labels.isEmpty() };"
    ),
    'permit (principal, action in [Action::"travel"], resource) when { ' + "!" * 4 + "true };",
)
CORPUS_TEST: Final = """\
{"policies": "a.cedar", "entities": "e.json", "schema": "s.cedarschema", "shouldValidate": true, "requests": [
{"principal": {"type": "Agent", "id": "a"}, "action": {"type": "Action", "id": "travel"}, "description": "d",
"resource": {"type": "Zone", "id": "z"}, "context": {"x": 1}, "decision": "allow", "reason": ["policy0"],
"errors": [], "validateRequest": false}]}
"""
SCHEDULES: Final = (
    """\
title = "t"
home = "a"
[[zone]]
name = "a"
provider = "desk"
region = "attic"
anchors = 1
[zone.site]
location = "Attic"
country = "Ireland"
country_code = "IE"
latitude = 53.3
longitude = -6.2
cost_usd_hour = 0.1
assumption = "as measured"
[[change]]
after_windows = 2
zone = "a"
price_factor = 0.5
[[change]]
at_seconds = 1.5
kill = "anchor"
anchor = 0
""",
    (
        'title = "t"\nhome = "b"\n[[zone]]\nname = "b"\nprovider = "aws"\nregion = "eu-west-1"\n'
        '[[change]]\nafter_windows = 1\nzone = "b"\nprice_usd_hour = 0.2\ncapacity = 1\n'
    ),
)

OFFER: Final = """\
cpu_millis = 1
memory_mib = 2
slots = 3
price_micros = 4
models = ["m"]
packages = "all"
"""

QUEUES: Final = """\
[queues.gpu]
at_once = 2
rate = 10
per_s = 1.5
"""

SECRETS_FILE: Final = """\
[openai]
environment = "OPENAI_API_KEY"
issuers = ["bafyreiaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
actions = ["model.call"]
[bank]
keyring = "bank/desk"
everyone = true
"""

MODELS_FILE: Final = """\
[local]
base_url = "http://[::1]:8000/v1"
[bedrock]
protocol = "native"
"""
