"""Delegates from a terminal: what they sign rules and stops a running agent, until they are revoked."""

from tests.system.person import Person, until

STAYS = (
    "permit (principal, action, resource);\n"
    'forbid (principal, action == Action::"travel", resource);\n'
)


def test_a_delegate_amends_and_orders_until_it_is_revoked(agents: Person) -> None:
    agents.good("keys", "new", "desk")
    agents.zone("home")
    agents.good("zone", "endorse", "home", "--level", 5, "--issuer", "acme")
    agents.good("agent", "launch", "asker.toml", "--zone", "home", "--key", "acme")
    until(lambda: agents.agent("asker")["binding"] == 1, "its binding")
    agents.write("stays.cedar", STAYS)
    [first] = agents.good("policy", "get", "asker", "--json").json["files"]

    to_desk = ("policy", "delegate", "desk", "--policy", first, "--officer", "desk")
    powers = ("--power", "amend", "--power", "suspend", "--power", "resume")
    agents.good(*to_desk, *powers, "--key", "acme")
    by_desk = ("--under", "desk.mandate", "--key", "desk")
    second = ("policy", "sign", "stays.cedar", "--previous", first, "--output", "2.signed")
    agents.good(*second, *by_desk)
    agents.good("policy", "publish", "2.signed")
    until(lambda: agents.agent("asker")["governance_version"] == 2, "the desk's text")

    stopped = agents.good("agent", "suspend", "asker", *by_desk).text
    assert "asker is" in stopped and "suspended" in stopped
    refused = agents("agent", "retire", "asker", *by_desk)
    assert (2, True) == (refused.code, "desk was not given retire" in refused.line())
    agents.good("agent", "resume", "asker", *by_desk)

    agents.good("agent", "export", "asker", "asker.car", "--history")
    verified = agents.good("capsule", "verify", "asker.car", "--json").json
    assert [2] == [document["version"] for document in verified["documents"]]
    said = agents.good("audit", "report", "asker.car", "--json", "-").json
    assert [["desk"]] * 2 == [order["under"] for order in said["orders"]]
    assert [[], ["desk"]] == [rule["under"] for rule in said["rules"]]

    gone = ("--delegate", "desk.mandate", "--policy", first, "--key", "acme")
    agents.good("policy", "revoke", *gone, "--reason", "the desk is closed")
    late = agents("agent", "suspend", "asker", *by_desk)
    assert late.code != 0
    assert "its officers revoked the delegate desk: the desk is closed" in late.line()
    agents.good("agent", "suspend", "asker", "--key", "acme")
