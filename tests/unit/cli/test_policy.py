"""`sojourn policy`: checked with line and column, signed, succeeded, shown."""

from pathlib import Path

import pytest

from tests.unit.cli.command import Command

PERMIT = "permit (principal, action, resource);\n"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.cedar"
    path.write_text(PERMIT)
    return path


def test_a_policy_is_checked(sojourn: Command, rules: Path) -> None:
    rules.write_text('@id("all")\n' + PERMIT)
    [rule] = sojourn.good("policy", "check", rules, "--json").json["rules"]
    assert (1, "all", "permit") == (rule["line"], rule["id"], rule["effect"])
    assert "with 1 rule\n" in sojourn.good("policy", "check", rules).out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("permit (principal, action, resource)\n", "rules.cedar:1:"),
        (PERMIT + "permit (principal, acton, resource);", "rules.cedar:2:20:"),
        ('permit (principal, action == Action::"order.place", resource);', "rules.cedar:1:"),
        (PERMIT.replace(";", " when { resource.nowhere };"), "rules.cedar:1:"),
        ("forbid (principal, action, resource);", "can never permit anything"),
        ("", "can never permit anything"),
    ],
)
def test_a_wrong_policy_is_named_by_line_and_column(
    sojourn: Command, rules: Path, text: str, said: str
) -> None:
    rules.write_text(text)
    done = sojourn("policy", "check", rules)
    assert 2 == done.code
    assert said in done.line()


def test_an_applications_action_is_declared(sojourn: Command, rules: Path) -> None:
    rules.write_text('permit (principal, action == Action::"order.place", resource);')
    sojourn.good("policy", "check", rules, "--actions", "order.place")


def test_files_that_are_no_policies_are_one_line_each(
    sojourn: Command, rules: Path, tmp_path: Path
) -> None:
    assert "No such file" in sojourn("policy", "check", tmp_path / "none.cedar").line()
    rules.write_bytes(b"\xff\xfe")
    assert "is not text" in sojourn("policy", "check", rules).line()
    rules.write_text("/" * 70_000)
    assert "more than 65536" in sojourn("policy", "check", rules).line()


def test_a_document_is_signed_shown_and_succeeded(sojourn: Command, rules: Path) -> None:
    for name in ("alice", "bob"):
        sojourn.good("keys", "new", name)
    both = ("--key", "alice", "--key", "bob", "--threshold", "amend=2")
    first = sojourn.good("policy", "sign", rules, "--issuer", "acme", *both, "--json").json
    signed = rules.with_suffix(".signed")
    assert first == sojourn.good("policy", "show", signed, "--json").json
    assert (1, 2, {"amend": 2, "revoke": 1, "move": 1, "retire": 1}) == (
        first["version"],
        len(first["officers"]),
        first["thresholds"],
    )
    after = ("--issuer", "acme", "--previous", signed, "--output", rules.with_name("2.signed"))
    lone = sojourn("policy", "sign", rules, *after, "--key", "alice")
    assert (2, "1 officers signed this document; 2 are needed") == (
        lone.code,
        lone.line().partition(".")[0],
    )
    second = sojourn.good("policy", "sign", rules, *after, *both[:4], "--json").json
    assert (2, first["digest"]) == (second["version"], second["previous"])


def test_the_issuers_identifier_is_shown_to_be_copied_into_a_policy(
    sojourn: Command, rules: Path
) -> None:
    """It is the officers' and not the name's; the order in which they are named means nothing."""
    for name in ("alice", "bob"):
        sojourn.good("keys", "new", name)
    found = []
    for issuer, officers in (
        ("acme", ("alice", "bob")),
        ("other", ("bob", "alice")),
        ("acme", ("alice",)),
    ):
        signed = rules.with_name(f"{len(found)}.signed")
        named = [part for each in officers for part in ("--officer", each)]
        sign = ("policy", "sign", rules, "--issuer", issuer, "--key", "alice", "--output", signed)
        said = sojourn.good(*sign, *named)
        shown = sojourn.good("policy", "show", signed)
        identifier = sojourn.good("policy", "show", signed, "--json").json["issuer_id"]
        assert f"issuer     {identifier}" in said.out and f"issuer     {identifier}" in shown.out
        found.append(identifier)
    assert found[0] == found[1] != found[2]
    permit = f'permit (principal, action, resource) when {{ principal.issuer == "{found[0]}" }};'
    rules.write_text(permit)
    sojourn.good("policy", "check", rules)


def test_a_successor_cannot_appoint_its_own_judges(sojourn: Command, rules: Path) -> None:
    sojourn.good("keys", "new", "alice")
    sojourn.good("keys", "new", "thief")
    sojourn.good("policy", "sign", rules, "--issuer", "acme", "--key", "alice")
    stolen = sojourn(
        *("policy", "sign", rules, "--issuer", "acme", "--key", "thief", "--officer", "thief"),
        *("--previous", rules.with_suffix(".signed"), "--output", rules.with_name("2.signed")),
    )
    assert "is no officer of this issuer" in stolen.line()
    assert not rules.with_name("2.signed").exists()


def test_what_cannot_be_signed_is_one_line_each(sojourn: Command, rules: Path) -> None:
    sign = ("policy", "sign", rules, "--issuer", "acme")
    assert "there is none here" in sojourn(*sign).line()
    sojourn.good("keys", "new", "a")
    sojourn.good("keys", "new", "b")
    assert "there are 2 keys for officer: a, b" in sojourn(*sign).line()
    a = (*sign, "--key", "a")
    assert "threshold 2 for amend with 1" in sojourn(*a, "--threshold", "amend=2").line()
    assert "--threshold is 'amend'" in sojourn(*a, "--threshold", "amend").line()
    assert "is no date" in sojourn(*a, "--not-after", "soon").line()
    assert (
        "write 2099-01-31T12:00Z for UTC" in sojourn(*a, "--not-after", "2099-01-31T12:00").line()
    )
    assert "would never hold" in sojourn(*a, "--not-after", "2001-01-01").line()
    assert "there is no public key 'carol'" in sojourn(*a, "--officer", "carol").line()
    sojourn.good(*a)
    assert "exists already" in sojourn(*a).line()


def test_forged_and_foreign_bytes_are_no_document(sojourn: Command, rules: Path) -> None:
    sojourn.good("keys", "new", "a")
    sojourn.good("policy", "sign", rules, "--issuer", "acme")
    signed = rules.with_suffix(".signed")
    data = signed.read_bytes()
    signed.write_bytes(data.replace(b"acme", b"evil"))
    assert (4, "bad-signature") == (
        sojourn("policy", "show", signed).code,
        sojourn("policy", "show", signed).line().partition(":")[0],
    )
    signed.write_bytes(data[:-1])
    assert "truncated" in sojourn("policy", "show", signed).line()
    signed.write_bytes(b"\x00")
    assert 4 == sojourn("policy", "show", signed).code


# Successors


TWO = ("--key", "alice", "--key", "bob", "--threshold", "amend=2")
ORDERS = PERMIT + 'forbid (principal, action == Action::"order.place", resource);\n'


@pytest.fixture
def officers(sojourn: Command) -> None:
    for name in ("alice", "bob", "carol", "vault"):
        sojourn.good("keys", "new", name)


def signed_by(sojourn: Command, rules: Path, version: int, *options: object) -> Path:
    """Return the file of a version, signed as options say."""
    path = rules.with_name(f"{version}.signed")
    sojourn.good("policy", "sign", rules, "--output", path, *options)
    return path


@pytest.mark.usefixtures("officers")
def test_what_is_not_said_of_a_successor_is_as_it_was(sojourn: Command, rules: Path) -> None:
    """Its thresholds above all: left out, they were 1, and one officer could have amended from then on."""
    given = ("--name", "limits", "--cool-down", "7d", "--root", "vault", "--outside-effects")
    actions = ("--actions", "order.place")
    first = signed_by(sojourn, rules, 1, "--issuer", "acme", *TWO, *given, *actions)
    second = signed_by(sojourn, rules, 2, "--previous", first, *TWO[:4])
    was, now = (sojourn.good("policy", "show", each, "--json").json for each in (first, second))
    assert 2 == now["thresholds"]["amend"]
    assert 7 * 86_400_000 == now["cool_down_ms"]
    changed = {"digest", "version", "previous", "not_before_ms", "not_after_ms"}
    changed |= {"needed", "needed_of"}  # who must sign it, the one before says
    assert {name for name in was if was[name] != now[name]} <= changed


@pytest.mark.usefixtures("officers")
def test_several_officers_sign_one_after_the_other(sojourn: Command, rules: Path) -> None:
    first = rules.with_name("1.signed")
    sign = ("policy", "sign", rules, "--issuer", "acme", "--threshold", "amend=2")
    named = ("--officer", "alice", "--officer", "bob", "--key", "alice", "--output", first)
    assert "with --incomplete" in sojourn(*sign, *named).line()
    assert "needs      2 of the officers" in sojourn.good(*sign, *named, "--incomplete").out
    assert "2 of the officers must: not enough" in sojourn.good("policy", "show", first).out
    assert "has signed" in sojourn("policy", "seal", first, "--key", "alice").line()
    before = first.read_bytes()
    assert "no officer of this issuer" in sojourn("policy", "seal", first, "--key", "carol").line()
    assert before == first.read_bytes()
    done = sojourn.good("policy", "seal", first, "--key", "bob", "--json").json
    assert (2, 2) == (len(done["signed_by"]), done["needed"])
    assert "not enough" not in sojourn.good("policy", "show", first).out

    rules.write_text(ORDERS)
    more = ("--actions", "order.place", "--key", "bob", "--incomplete")
    second = signed_by(sojourn, rules, 2, "--previous", first, *more)
    lone = sojourn("policy", "seal", second, "--key", "alice")
    assert "succeeds another document" in lone.line() and "--previous" in lone.line()
    assert "before says" in sojourn.good("policy", "show", second).out
    sojourn.good("policy", "seal", second, "--key", "alice", "--previous", first)
    shown = sojourn.good("policy", "show", second, "--previous", first)
    assert "2 of the officers of version 1 must\n" in shown.out


@pytest.mark.usefixtures("officers")
def test_whoever_signs_is_shown_what_changes(sojourn: Command, rules: Path) -> None:
    first = signed_by(
        sojourn,
        rules,
        1,
        *("--issuer", "acme", "--key", "alice", "--actions", "order.place", "--cool-down", "2h"),
    )
    same = sojourn.good("policy", "sign", rules, "--previous", first, "--key", "alice")
    assert "permits    what version 1 does" in same.out
    rules.write_text(ORDERS)
    second = rules.with_name("2.signed")
    done = sojourn.good(
        *("policy", "sign", rules, "--previous", first, "--key", "alice", "--output", second)
    )
    assert "narrows    order.place: at once" in done.out and "widens" not in done.out
    rules.write_text(PERMIT)
    third = sojourn.good(
        *("policy", "sign", rules, "--previous", second, "--key", "alice", "--json"),
        *("--output", rules.with_name("3.signed")),
    ).json
    assert {"widens": ["order.place"], "narrows": [], "exact": True} == third["compared"]
    wider = sojourn.good("policy", "show", rules.with_name("3.signed"), "--previous", second)
    assert "widens     order.place: when version 2 has cooled" in wider.out


@pytest.mark.usefixtures("officers")
def test_a_successor_is_the_next_one_of_its_line(sojourn: Command, rules: Path) -> None:
    first = signed_by(sojourn, rules, 1, "--issuer", "acme", "--key", "alice")
    other = signed_by(sojourn, rules, 9, "--issuer", "acme", "--key", "alice", "--name", "other")
    second = signed_by(sojourn, rules, 2, "--previous", first, "--key", "alice")
    for before, said in ((other, "is succeeded by none"), (second, "does not follow version 2")):
        done = sojourn("policy", "show", second, "--previous", before)
        assert 4 == done.code and said in done.line()
    wrong = ("policy", "sign", rules, "--previous", second, "--key", "alice", "--output", "x")
    for options in (("--version", 7), ("--name", "other"), ("--issuer", "evil")):
        assert 2 == sojourn(*wrong, *options).code


@pytest.mark.usefixtures("officers")
def test_a_root_alone_names_other_officers(sojourn: Command, rules: Path) -> None:
    rooted = ("--root", "vault", "--root", "carol", "--root-threshold", 2)
    first = signed_by(sojourn, rules, 1, "--issuer", "acme", "--key", "alice", *rooted)
    assert "root       2 of 2: " in sojourn.good("policy", "show", first).out
    turn = ("policy", "sign", rules, "--previous", first, "--output", rules.with_name("2.signed"))
    for options in (
        ("--officer", "bob"),
        ("--no-root",),
        ("--root", "alice", "--root-threshold", 1),
    ):
        assert "no root key" in sojourn(*turn, *options, "--key", "alice").line()
    assert "1 root keys signed" in sojourn(*turn, "--officer", "bob", "--key", "vault").line()
    sojourn.good(*turn, "--officer", "bob", "--key", "vault", "--incomplete")
    second = rules.with_name("2.signed")
    sojourn.good("policy", "seal", second, "--key", "carol", "--previous", first)
    shown = sojourn.good("policy", "show", second, "--previous", first)
    assert "2 of the root keys of version 1 must\n" in shown.out
    third = signed_by(sojourn, rules, 3, "--previous", second, "--key", "bob")
    assert 3 == sojourn.good("policy", "show", third, "--json").json["version"]
    plain = signed_by(sojourn, rules, 4, "--issuer", "acme", "--key", "alice")
    again = ("policy", "sign", rules, "--previous", plain, "--key", "alice", "--output", "x")
    assert "there is no root" in sojourn(*again, "--root-threshold", 1).line()
    assert "goes with no root" in sojourn(*again, "--root", "bob", "--no-root").line()


@pytest.mark.usefixtures("officers")
def test_what_a_successor_cannot_be_is_one_line_each(sojourn: Command, rules: Path) -> None:
    first = signed_by(sojourn, rules, 1, "--issuer", "acme", "--key", "alice")
    sign = ("policy", "sign", rules, "--previous", first, "--key", "alice", "--output", "x")
    assert "nobody is its issuer" in sojourn("policy", "sign", rules, "--key", "alice").line()
    for span in ("7", "1w", "²d", "-1d", "9999999999d"):
        assert "is no length of time" in sojourn(*sign, "--cool-down", span).line()
    rules.write_text(PERMIT + "permit (principal, acton, resource);")
    assert "rules.cedar:2:20:" in sojourn(*sign).line()
    rules.write_text('permit (principal, action == Action::"order.place", resource);')
    assert "rules.cedar:1:" in sojourn(*sign).line()


ASKING = """\
permit (principal, action, resource) unless { action == Action::"order.place" };
@ask("desk") permit (principal, action == Action::"order.place", resource);
"""
GROUPS = """\
[approvers.desk]
keys = ["ann", "ben"]
needed = 2
lasts = "8h"
escalate_to = "risk"
after = "90min"

[approvers.risk]
keys = ["ann"]
lasts = "1d"
"""


def asking(sojourn: Command, rules: Path, groups: str = GROUPS) -> tuple[object, ...]:
    """Return the end of a command about a policy that asks; the keys that it names are there."""
    rules.write_text(ASKING)
    rules.with_name("groups.toml").write_text(groups)
    if not (sojourn.home / "keys" / "ann.key").exists():
        for name in ("ann", "ben"):
            sojourn.good("keys", "new", name, "--purpose", "person")
        sojourn.good("keys", "new", "acme")
    return (rules, "--actions", "order.place", "--approvers", rules.with_name("groups.toml"))


def test_section_8_who_may_approve_is_signed_with_the_policy(sojourn: Command, rules: Path) -> None:
    given = asking(sojourn, rules)
    assert ', if "desk" approves' in sojourn.good("policy", "check", *given).out
    signed = sojourn.good("policy", "sign", *given, "--issuer", "acme", "--json").json
    desk = signed["approvers"]["desk"]
    assert (2, 8 * 3_600_000, "risk", 90 * 60_000) == tuple(
        desk[field] for field in ("needed", "lasts_ms", "escalate_to", "after_ms")
    )
    assert 2 == len(desk["keys"])
    text = sojourn.good("policy", "show", rules.with_suffix(".signed")).out
    assert "approvers  desk: 2 of 2, for 8 h; after 1 h 30 min risk too: " in text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[approvers.desk]", "[approvers.disk]", "rules.cedar:2:1: there is no group"),
        ("needed = 2", "needed = 3", "approvers.desk.needed: 3 are needed of 2"),
        ('"ann", "ben"', '"ann", "ann"', "approvers.desk.keys: a key is repeated"),
        ('"ann", "ben"', '"ann", "nobody"', "there is no public key 'nobody'"),
        ('keys = ["ann", "ben"]', "keys = []", "approvers.desk.keys is empty"),
        ('"risk"', '"board"', "approvers.desk.escalate_to: there is no group 'board'"),
        ('"1d"', '"1d"\nescalate_to = "desk"', "it leads back to 'desk'"),
        ('after = "90min"', 'after = "9h"', "turn comes when the petition has expired"),
        ('"8h"', '"8 hours"', "approvers.desk.lasts is '8 hours', which is no length of time"),
        ('"8h"', '"0s"', "approvers.desk.lasts is '0s'"),
        ('"8h"', "8", "Expected `str`, got `int`"),
    ],
)
def test_section_8_groups_that_cannot_approve_are_not_signed(
    sojourn: Command, rules: Path, old: str, new: str, said: str
) -> None:
    given = asking(sojourn, rules, GROUPS.replace(old, new, 1))
    done = sojourn("policy", "sign", *given, "--issuer", "acme")
    assert (2, True) == (done.code, said in done.line()), done.line()
    assert not rules.with_suffix(".signed").exists()


def test_a_zone_asks_nobody(sojourn: Command, rules: Path) -> None:
    rules.write_text('@ask("desk") permit (principal, action in Action::"application", resource);')
    done = sojourn("zone", "init", "home", "--local", 1, "--policy", rules)
    assert 2 == done.code
    assert "rules.cedar:1:1: there is no group of approvers" in done.line()


@pytest.fixture
def bounded(sojourn: Command, rules: Path) -> Path:
    """Return a policy that bounds its staleness to two days, signed by the only officer here."""
    sojourn.good("keys", "new", "acme")
    sojourn.good("policy", "sign", rules, "--issuer", "acme", "--staleness", "2d")
    return rules.with_suffix(".signed")


def test_a_policy_bounds_its_staleness_and_so_does_its_successor_if_it_says_nothing_else(
    sojourn: Command, rules: Path, bounded: Path
) -> None:
    shown = sojourn.good("policy", "show", bounded)
    assert "acts       where a head is no older than 2 d\n" in shown.out
    cases = (((), 172_800_000), (("--staleness", "0s"), None))
    for number, (given, bound) in enumerate(cases):
        after = rules.with_name(f"{number}.signed")
        options = ("--previous", bounded, "--output", after, *given)
        sojourn.good("policy", "sign", rules, *options)
        assert bound == sojourn.good("policy", "show", after, "--json").json["staleness_ms"]


def test_a_head_is_made_and_shown(sojourn: Command, bounded: Path, tmp_path: Path) -> None:
    target = tmp_path / "1.head"
    made = sojourn.good("policy", "head", bounded, "--output", target, "--json").json
    assert (str(target), None) == (made["file"], made["published"])
    head = made["head"]
    document = sojourn.good("policy", "show", bounded, "--json").json
    assert (document["digest"], "acme", 1) == (head["document"], head["issuer"], head["version"])
    assert document["staleness_ms"] == head["until_ms"] - head["at_ms"]
    assert document["signed_by"] == [head["signed_by"]]
    assert head == sojourn.good("policy", "show", target, "--json").json
    assert "version 1 is the newest" in sojourn.good("policy", "show", target).out
    short = sojourn.good(
        *("policy", "head", bounded, "--lasts", "90s", "--output", tmp_path / "2.head", "--json")
    ).json["head"]
    assert 90_000 == short["until_ms"] - short["at_ms"]


def test_heads_that_cannot_be_are_one_line_each(
    sojourn: Command, bounded: Path, tmp_path: Path
) -> None:
    target = tmp_path / "1.head"
    make = ("policy", "head", bounded, "--output", target)
    for lasts, said in (("91d", "up to 90 d"), ("0s", "up to 90 d"), ("soon", "no length of time")):
        done = sojourn(*make, "--lasts", lasts)
        assert (2, True) == (done.code, said in done.line()), done.err
    sojourn.good("keys", "new", "eve")
    assert "is no officer by" in sojourn(*make, "--key", "eve").line()
    assert not target.exists()
    sojourn.good(*make, "--key", "acme")
    assert "exists already" in sojourn(*make, "--key", "acme").line()
    assert "no zone is known here" in sojourn("policy", "head", bounded, "--key", "acme").line()
    assert "no zone is known here" in sojourn("policy", "publish", target).line()
    assert "succeeds nothing" in sojourn("policy", "show", target, "--previous", bounded).line()
    data = bytearray(target.read_bytes())
    data[-3] ^= 1
    target.write_bytes(data)
    for command in ("publish", "show"):
        done = sojourn("policy", command, target)
        assert "does not cover this policy-head" in done.line(), done.err
    target.write_bytes(bytes(data[:-1]))
    for command in ("publish", "show", "head"):
        assert 0 != sojourn("policy", command, target).code
        assert sojourn("policy", command, target).line()


CODE = "bafyrei" + "a" * 52


@pytest.fixture
def ruled(sojourn: Command, rules: Path) -> Path:
    """Return a policy of two officers, of whom one revokes and both lift."""
    for name in ("alice", "bob", "eve"):
        sojourn.good("keys", "new", name)
    both = ("--key", "alice", "--key", "bob", "--threshold", "amend=2")
    sojourn.good("policy", "sign", rules, "--issuer", "acme", *both)
    return rules.with_suffix(".signed")


def test_code_is_revoked_by_officers_and_lifted_by_more_of_them(
    sojourn: Command, ruled: Path, tmp_path: Path
) -> None:
    issuer = sojourn.good("policy", "show", ruled, "--json").json["issuer_id"]
    code = ("policy", "revoke", "--code", CODE, "--policy", ruled)
    first = tmp_path / "stop"
    made = sojourn.good(
        *code, "--key", "bob", "--reason", "leaked", "--output", first, "--json"
    ).json
    assert ("agents", issuer, "code", CODE, False, 1, 1) == (
        *(made[name] for name in ("reach", "by", "about", "subject", "lifts")),
        len(made["signed_by"]),
        made["needed"],
    )
    lift = tmp_path / "lift"
    alone = (*code, "--lift", "--key", "alice")
    assert "1 signed it; 2 are needed" in sojourn(*alone).line()
    sojourn.good(*alone, "--output", lift)
    onto = ("policy", "revoke", "--onto", lift, "--policy", ruled)
    assert "has signed it already" in sojourn(*onto, "--key", "alice").line()
    assert "leave out" in sojourn(*onto, "--key", "bob", "--code", CODE).line().lower()
    whole = sojourn.good(*onto, "--key", "bob", "--output", tmp_path / "whole", "--json").json
    assert (True, 2, 2) == (whole["lifts"], len(whole["signed_by"]), whole["needed"])
    for file in (first, tmp_path / "whole"):
        assert "no zone is known here" in sojourn("policy", "publish", file).line()
    issuers = sojourn.good(
        *("policy", "revoke", "--issuer", issuer, "--policy", ruled, "--key", "bob"),
        *("--output", tmp_path / "all"),
    )
    assert f"issuer {issuer} is revoked for the issuer's agents" in issuers.out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--code", CODE), "not said for whom"),
        (("--policy", "rules.signed"), "0 things are named"),
        (("--policy", "rules.signed", "--code", CODE, "--host", "bob"), "2 things are named"),
        (("--policy", "rules.signed", "--zone", "a", "--code", CODE), "not said for whom"),
        (("--policy", "rules.signed", "--code", "nothing"), "--code is not an identifier"),
        (("--policy", "rules.signed", "--code", "é" * 40), "--code is not an identifier"),
        (("--policy", "rules.signed", "--host", "nobody"), "no public key 'nobody'"),
        (("--policy", "rules.signed", "--host", "zz" * 32), "the key"),
        (("--policy", "rules.signed", "--issuer", CODE), "officers revoke their own issuer"),
        (("--policy", "rules.signed", "--code", CODE, "--key", "eve"), "has no say in that"),
        (("--policy", "rules.signed", "--code", CODE, "--under", "x"), "--under is not"),
        (("--policy", "rules.signed", "--code", CODE, "--reason", "x" * 513), "more than 512"),
        (("--policy", "rules.cedar", "--code", CODE), "signed policy"),
        (("--zone", "nowhere", "--code", CODE), "no zone 'nowhere'"),
        (("--onto", "rules.signed", "--policy", "rules.signed"), "revocation"),
        (("--policy", "2.signed", "--code", CODE), "does not say whose agents it rules"),
    ],
)
def test_revocations_that_cannot_be_are_one_line_each(
    sojourn: Command, ruled: Path, given: tuple[str, ...], said: str
) -> None:
    both = ("--key", "alice", "--key", "bob")
    after = ruled.with_name("2.signed")
    rules = ruled.with_suffix(".cedar")
    sojourn.good("policy", "sign", rules, "--previous", ruled, *both, "--output", after)
    places = [
        ruled.parent / each if each.endswith((".signed", ".cedar")) else each for each in given
    ]
    keys = () if "--key" in given else ("--key", "alice")
    target = ruled.with_name("out")
    done = sojourn("policy", "revoke", *places, *keys, "--output", target)
    assert 0 != done.code and said in done.line(), done.err
    assert not target.exists()
