"""Revocations and heads from a terminal: what was revoked is launched nowhere until that is lifted."""

from tests.system.person import Person, until


def test_revoked_code_is_not_launched_again_until_that_is_lifted(agents: Person) -> None:
    agents.zone("home")
    agents.good("zone", "endorse", "home", "--level", 5, "--issuer", "acme")
    launch = ("agent", "launch", "asker.toml", "--zone", "home", "--key", "acme")
    agents.good(*launch)
    until(lambda: agents.agent("asker")["binding"] == 1, "its binding")
    code = agents.agent("asker")["code"]
    [policy] = agents.good("policy", "get", "asker", "--json").json["files"]

    revoke = ("policy", "revoke", "--code", code, "--policy", policy, "--key", "acme")
    told = agents.good(*revoke, "--reason", "CVE-2027-1234", "--json").json
    assert 1 == told["published"]["zones"]
    refused = agents(*launch, "--name", "second")
    assert refused.code != 0
    assert "its officers revoked its code: CVE-2027-1234" in refused.line()
    agents.good(*revoke, "--lift")
    agents.good(*launch, "--name", "second")

    head = agents.good("policy", "head", policy, "--key", "acme", "--json").json
    assert 1 == head["published"]["zones"]
    gone = ("policy", "revoke", "--code", code, "--zone", "home", "--key", "acme")
    assert "anchor" in agents(*gone).line(), "an officer is no anchor"
