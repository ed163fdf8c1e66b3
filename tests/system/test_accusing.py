"""A zone whose anchor signed two histories: whoever has both shows them, and agents trust it no more."""

from pathlib import Path

from msgspec.structs import replace

from sojourn.core.base.encoding import digest_of
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.capsule import Capsule, capsule_head, load_capsule
from sojourn.core.quorum.certificates import Certificate
from sojourn.runtime.processes.keyfile import Purpose, read_key
from tests.system.person import Person, until


def another_history(capsule: Capsule, vote_key: KeyPair) -> Capsule:
    """Return a capsule whose last transition is another one, which the one anchor of the zone signed as well."""
    head = capsule.head
    transition = replace(head.transition, reason="it was otherwise")
    certificate = signed_again(head.certificate, transition.digest, vote_key)
    zone = next(
        signed.manifest
        for signed in capsule.manifests
        if signed.manifest.zone_id == head.certificate.slot.group
    )
    certificate.check(certificate.phase, zone.committee)
    return replace(capsule, head=replace(head, transition=transition, certificate=certificate))


def signed_again(certificate: Certificate, value: bytes, vote_key: KeyPair) -> Certificate:
    [part] = certificate.votes
    ballot = replace(certificate.vote(part).ballot, value=value)
    covered = statement(Kind.VOTE, Role.ANCHOR, digest_of(ballot))
    seal = Seal(signer=vote_key.public, signature=vote_key.sign(covered))
    return replace(certificate, value=value, votes=(replace(part, seal=seal),))


def forged(file: Path, vote_key: KeyPair) -> Path:
    """Write another capsule beside one: the same but for what was decided last."""
    with file.open("rb") as source:
        capsule = load_capsule(source).capsule
    data, other = file.read_bytes(), file.with_name(f"other-{file.name}")
    head = capsule_head(capsule)
    assert data.startswith(head)
    other.write_bytes(capsule_head(another_history(capsule, vote_key)) + data[len(head) :])
    return other


def is_held(agents: Person, name: str, zone: str) -> bool:
    """Tell whether a zone's anchors hold a proof against anchor 0 of another, and of nobody else."""
    held = agents.good("zone", "proofs", name, "--json").json
    return [(zone, 0, 1)] == [(each["zone"], each["anchor"], each["held_by"]) for each in held]


def test_an_agent_counts_what_two_capsules_prove_of_a_zone(agents: Person) -> None:
    agents.good("keys", "new", "mallory")
    for name in ("a", "b"):
        agents.zone(name)
    agents.good("zone", "meet", "a", "b")
    agents.good("zone", "endorse", "a", "--issuer", "acme", "--level", 5)
    agents.good(
        "zone", "endorse", "b", "--issuer", "acme", "--level", 5, "--tell", "a", "--tell", "b"
    )
    agents.good("agent", "launch", "counter.toml", "--zone", "b", "--key", "acme", "--name", "one")
    agents.good("agent", "watch", "one")
    agents.good("agent", "export", "one", "one.car")
    agents.good("agent", "launch", "asker.toml", "--zone", "a", "--key", "acme", "--name", "two")
    until(lambda: agents.agent("two")["binding"] == 1, "its binding")

    nothing = agents("agent", "accuse", "two", "one.car", "one.car")
    assert "the capsules prove no lie" in nothing.line()
    vote_key = read_key(agents.folder_of("b", "anchors", 0) / "vote.key", Purpose.ANCHOR_VOTE)
    other = forged(agents.folder / "one.car", vote_key)
    agents.good("capsule", "verify", other)

    assert "Nothing is proved" in agents.good("zone", "proofs", "a").text
    [counted] = agents.good("agent", "accuse", "two", "one.car", other, "--json").json
    assert ("b", [0]) == (counted["zone_name"], counted["liars"])
    shown = agents.agent("two")
    [[zone, events]] = shown["events"].items()
    assert (counted["zone"], 10, [0]) == (zone, events["levels_lost"], events["liars"])
    said = agents.good("agent", "show", "two").text
    assert f"counts against {zone}: 1 anchor proved to have lied" in said
    for name in ("a", "b"):
        until(lambda name=name: is_held(agents, name, counted["zone"]), "all zones know")
    assert "1 anchor is proved to have lied" in agents.good("zone", "proofs", "a").text
    again = agents("agent", "accuse", "two", "one.car", other)
    assert (4, True) == (again.code, "all whom it names are named already" in again.line())
    assert "already" in agents.good("agent", "forgive", "two", "--key", "acme").text

    agents.good("agent", "launch", "asker.toml", "--zone", "a", "--key", "mallory", "--name", "far")
    stranger = agents("agent", "accuse", "far", "one.car", other)
    assert "nobody whom far relies on vouches for b" in stranger.line()
