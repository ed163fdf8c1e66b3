"""`sojourn policy delegate`, and what is signed under a mandate: made, sealed by several, passed on, and refused."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.cli import mandates
from sojourn.core.agent.delegation import Mandate
from sojourn.core.base.encoding import encode
from tests.unit.cli.command import Command, Done

PERMIT = "permit (principal, action, resource);\n"
YEAR_2020 = ("--not-before", "2020-01-01", "--until", "2020-02-01")


@pytest.fixture
def desk(sojourn: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return the command where alice and bob together are acme, and carol, dave and erin have keys."""
    monkeypatch.chdir(tmp_path)
    Path("rules.cedar").write_text(PERMIT)
    Path("next.cedar").write_text(PERMIT + "// next")
    for name in ("alice", "bob", "carol", "dave", "erin"):
        sojourn.good("keys", "new", name)
    two = ("--key", "alice", "--key", "bob", "--threshold", "amend=2")
    sojourn.good("policy", "sign", "rules.cedar", "--issuer", "acme", *two)
    return sojourn


EMEA = ("policy", "delegate", "emea", "--policy", "rules.signed", "--officer", "carol")
ALL = ("--power", "amend", "--power", "suspend", "--depth", "1")
BOTH = ("--key", "alice", "--key", "bob")
PARIS = ("policy", "delegate", "paris", "--policy", "rules.signed", "--under", "emea.mandate")


def delegated(desk: Command, *options: str) -> None:
    desk.good(*EMEA, *(options or ALL), *BOTH)


def test_a_mandate_is_made_shown_and_signed_under(desk: Command) -> None:
    made = desk.good(*EMEA, *ALL, *BOTH, "--json").json
    assert ("emea.mandate", 2, 2) == (made["file"], made["signed"], made["needed"])
    [shown] = desk.good("policy", "show", "emea.mandate", "--json").json
    assert made["delegations"] == [shown]
    assert ("acme", ["rules"], ["amend", "suspend"], 1) == (
        shown["issuer"],
        shown["documents"],
        shown["powers"],
        shown["depth"],
    )
    text = desk.good("policy", "show", "emea.mandate").out
    assert "emea may act for acme: amend, suspend" in text and "to a depth of 1" in text
    under = ("--previous", "rules.signed", "--under", "emea.mandate", "--key", "carol")
    signed = desk.good("policy", "sign", "next.cedar", *under, "--json").json
    assert ("officers of emea", 1, [shown]) == (
        signed["needed_of"],
        signed["needed"],
        signed["under"],
    )
    again = desk.good("policy", "show", "next.signed", "--previous", "rules.signed")
    assert "1 of the officers of emea must" in again.out
    assert "signed for the issuer under these delegations:\nemea may act" in again.out


def test_a_mandate_is_sealed_by_several_one_after_the_other(desk: Command) -> None:
    lone = desk(*EMEA, *ALL, "--key", "alice")
    assert (2, True) == (lone.code, "1 signed it; 2 are needed" in lone.line())
    assert not Path("emea.mandate").exists()
    desk.good(*EMEA, *ALL, "--key", "alice", "--incomplete")
    onto = ("policy", "delegate", "--onto", "emea.mandate", "--policy", "rules.signed")
    assert "has signed it already" in desk(*onto, "--key", "alice").line()
    assert "has no say in that" in desk(*onto, "--key", "dave").line()
    under = ("--previous", "rules.signed", "--under", "emea.mandate", "--key", "carol")
    assert (
        "1 officers signed this delegation" in desk("policy", "sign", "next.cedar", *under).line()
    )
    assert "2 signed it, 2 are needed" in desk.good(*onto, "--key", "bob").out
    desk.good("policy", "sign", "next.cedar", *under)


def test_several_of_a_delegate_s_officers_seal_a_document_one_after_the_other(
    desk: Command,
) -> None:
    two = ("--officer", "dave", "--threshold", "amend=2")
    desk.good(*EMEA, *two, *ALL, *BOTH)
    under = ("--previous", "rules.signed", "--under", "emea.mandate", "--key", "carol")
    lone = desk("policy", "sign", "next.cedar", *under)
    assert "1 officers signed this document; 2 are needed" in lone.line()
    told = desk.good("policy", "sign", "next.cedar", *under, "--incomplete").out
    assert "needs      2 of the officers of emea" in told
    onto = ("policy", "seal", "next.signed", "--previous", "rules.signed")
    assert "is no officer" in desk(*onto, "--key", "alice").line()
    assert "needs" not in desk.good(*onto, "--key", "dave").out


def test_what_was_delegated_is_passed_on_as_far_as_it_may_be(desk: Command) -> None:
    delegated(desk)
    erin = ("--officer", "erin", "--power", "suspend")
    desk.good(*PARIS, *erin, "--key", "carol")
    chain = desk.good("policy", "show", "paris.mandate", "--json").json
    assert ["emea", "paris"] == [each["name"] for each in chain]
    assert chain[1]["until_ms"] <= chain[0]["until_ms"]
    further = ("policy", "delegate", "lyon", "--policy", "rules.signed", "--under", "paris.mandate")
    deeper = desk(*further, "--officer", "dave", "--power", "suspend", "--key", "erin")
    assert (2, True) == (deeper.code, "paris may pass on to a depth of 0" in deeper.line())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--officer", "erin", "--power", "retire", "--key", "carol"), "has more than emea"),
        (("--officer", "erin", "--power", "amend", "--key", "dave"), "has no say in that"),
        (("--officer", "carol", "--power", "amend", "--key", "carol"), "delegates to itself"),
        (
            ("--officer", "alice", "--officer", "bob", "--power", "amend", "--key", "carol"),
            "delegates to itself",
        ),
        (
            ("--officer", "erin", "--power", "amend", "--until", "2100-01-01", "--key", "carol"),
            "holds for",
        ),
        (("--officer", "erin", "--power", "amend", *YEAR_2020, "--key", "carol"), "a longer time"),
        (("--power", "amend", "--key", "carol"), "is nobody"),
        (("--officer", "erin", "--key", "carol"), "may do nothing"),
        (
            ("--officer", "erin", "--power", "amend", "--threshold", "amend=2", "--key", "carol"),
            "threshold 2",
        ),
        (
            ("--officer", "erin", "--power", "amend", "--threshold", "move=1", "--key", "carol"),
            "acts are amend, revoke and retire",
        ),
    ],
)
def test_no_wider_mandate_is_made(desk: Command, options: tuple[str, ...], said: str) -> None:
    delegated(desk)
    done = desk(*PARIS, *options)
    assert 2 == done.code
    assert said in done.line()
    assert not Path("paris.mandate").exists()


def sign_late(desk: Command) -> Done:
    delegated(desk, "--power", "amend", *YEAR_2020)
    under = ("--previous", "rules.signed", "--under", "emea.mandate", "--key", "carol")
    return desk("policy", "sign", "next.cedar", *under)


def sign_without_the_power(desk: Command) -> Done:
    delegated(desk, "--power", "suspend")
    under = ("--previous", "rules.signed", "--under", "emea.mandate", "--key", "carol")
    return desk("policy", "sign", "next.cedar", *under)


def sign_by_another(desk: Command) -> Done:
    delegated(desk)
    under = ("--previous", "rules.signed", "--under", "emea.mandate", "--key", "dave")
    return desk("policy", "sign", "next.cedar", *under)


def sign_the_first(desk: Command) -> Done:
    delegated(desk)
    under = ("--issuer", "acme", "--under", "emea.mandate", "--key", "carol")
    return desk("policy", "sign", "next.cedar", *under)


def name_officers(desk: Command) -> Done:
    delegated(desk)
    under = ("--previous", "rules.signed", "--under", "emea.mandate", "--key", "carol")
    return desk(
        "policy", "sign", "next.cedar", *under, "--officer", "carol", "--threshold", "amend=1"
    )


def end_what_cools(desk: Command) -> Done:
    delegated(desk)
    under = ("--previous", "rules.signed", "--under", "emea.mandate", "--key", "carol")
    return desk("policy", "sign", "next.cedar", *under, "--cool-down", "1h", "--incomplete")


REFUSED: dict[str, tuple[Any, str]] = {
    "late": (sign_late, "the delegation to emea holds from"),
    "without the power": (sign_without_the_power, "emea was not given amend, but suspend"),
    "by another": (sign_by_another, "is no officer of emea"),
    "the first": (sign_the_first, "a delegate signs no first document"),
    "officers": (name_officers, "emea may act for acme, and not change its officers"),
    "cool-down": (end_what_cools, "emea may act for acme, and not change its cool_down_ms"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_anchors_would_refuse_is_not_signed(desk: Command, case: str) -> None:
    tried, said = REFUSED[case]
    done = tried(desk)
    assert 2 == done.code
    assert said in done.line()
    assert not Path("next.signed").exists()


def test_a_delegate_is_revoked_by_its_mandate(desk: Command) -> None:
    delegated(desk)
    [shown] = desk.good("policy", "show", "emea.mandate", "--json").json
    places = ("--policy", "rules.signed", "--key", "alice", "--output", "stop")
    done = desk.good("policy", "revoke", "--delegate", "emea.mandate", *places, "--json").json
    assert ("agents", "issuer", shown["id"]) == (done["reach"], done["about"], done["subject"])
    more = ("--delegate", "emea.mandate", "--host", "00" * 32, "--policy", "rules.signed")
    assert "2 things are named" in desk("policy", "revoke", *more, "--key", "alice").line()


def test_a_file_that_is_no_mandate_is_one_line(desk: Command) -> None:
    delegated(desk)
    under = ("--previous", "rules.signed", "--key", "carol", "--under")
    assert 2 != desk("policy", "sign", "next.cedar", *under, "rules.signed").code
    assert "emea.mandate exists already" in desk(*EMEA, *ALL, *BOTH).line()
    onto = ("policy", "delegate", "paris", "--onto", "emea.mandate", "--policy", "rules.signed")
    assert "--onto says all of that" in desk(*onto, "--key", "alice").line()
    assert "has no name" in desk("policy", "delegate", *EMEA[3:], *ALL, *BOTH).line()
    forged = Path("emea.mandate")
    mandate = mandates.read_mandate(forged)
    (one,) = mandate.delegations
    forged.write_bytes(encode(Mandate(delegations=(replaced(one),))))
    assert "does not cover this delegation" in desk("policy", "show", "emea.mandate").line()


def replaced(one: Any) -> Any:
    """Return a delegation that says something else than was sealed."""
    return replace(one, delegation=replace(one.delegation, depth=0))
