"""Amendments from a terminal: a policy got, succeeded, brought to its agent, and proved by its capsule."""

from tests.system.person import Person, until

STAYS = (
    "permit (principal, action, resource);\n"
    'forbid (principal, action == Action::"travel", resource);\n'
)


def test_a_policy_is_amended_where_the_agent_is(agents: Person) -> None:
    agents.good("keys", "new", "bob")
    agents.zone("home")
    agents.good("zone", "endorse", "home", "--level", 5, "--issuer", "acme")
    agents.good("agent", "launch", "asker.toml", "--zone", "home", "--key", "acme")
    until(lambda: agents.agent("asker")["binding"] == 1, "its binding")
    issuer = agents.agent("asker")["issuer"]
    agents.write("stays.cedar", STAYS)

    [first] = agents.good("policy", "get", "asker", "--json").json["files"]
    assert "exists already" in agents("policy", "get", "asker").line()
    turn = ("--officer", "bob", "--cool-down", "1h", "--output", "2.signed")
    signed = agents.good(
        "policy", "sign", "stays.cedar", "--previous", first, "--key", "acme", *turn
    )
    assert "narrows    travel: at once" in signed.text
    done = agents.good("agent", "amend", "asker", "2.signed", "--reason", "tonight", "--json").json
    assert (2, 2, None, False) == tuple(
        done[name]
        for name in ("document_version", "governance_version", "cools_until_ms", "before")
    )
    assert "rules asker already" in agents.good("agent", "amend", "asker", "2.signed").text

    late = ("policy", "sign", "rules.cedar", "--previous", first, "--output", "late.signed")
    agents.good(*late, "--key", "acme")
    refused = agents("agent", "amend", "asker", "late.signed")
    assert (2, True) == (refused.code, "follows none of what rules it" in refused.line())
    stolen = ("policy", "sign", "rules.cedar", "--previous", "2.signed", "--output", "3.signed")
    assert "no officer of this issuer" in agents(*stolen, "--key", "acme").line()
    agents.good(*stolen, "--key", "bob")
    wider = agents.good("agent", "amend", "asker", "2.signed", "3.signed").text
    assert "rules version 3 rules asker, at version" in wider
    assert "what came before rules beside it until 2" in wider

    shown = agents.agent("asker")
    assert (issuer, 3, 1) == (
        shown["issuer"],
        shown["governance_version"],
        len(shown["cooling"]),
    )
    assert "what came before rules until 2" in agents.good("agent", "show", "asker").text
    agents.good("agent", "export", "asker", "asker.car")
    verified = agents.good("capsule", "verify", "asker.car", "--json").json
    assert [3] == [document["version"] for document in verified["documents"]]
    assert issuer == verified["agent"]["issuer"] == verified["documents"][0]["issuer_id"]
