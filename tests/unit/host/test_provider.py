"""The file of secrets: whose they are, where their values are, and what is wrong with it."""

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Denied, Misused
from sojourn.host.provider import Entry, Rule, SecretProvider, secrets_in

AGENT, ISSUER, OTHER = bytes([1] * 32), bytes([2] * 32), bytes([3] * 32)
RECORD: Any = SimpleNamespace(agent_id=AGENT, governance=SimpleNamespace(issuer=ISSUER))
ALL = "everyone = true\n"


def write(folder: Path, text: str) -> SecretProvider:
    (folder / "secrets.toml").write_text(text)
    return SecretProvider(lambda: secrets_in(folder / "secrets.toml"))


def had(provider: SecretProvider, *names: str) -> dict[str, str]:
    return asyncio.run(provider.hand_out(names, RECORD, "ask", "model.call"))


def test_a_host_without_the_file_has_none(tmp_path: Path) -> None:
    provider = SecretProvider(lambda: secrets_in(tmp_path / "secrets.toml"))
    provider.check((), RECORD, "ask", "model.call")
    with pytest.raises(Denied, match="this host has no secret 'openai'"):
        provider.check(("openai",), RECORD, "ask", "model.call")


def test_values_are_read_wherever_the_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOJOURN_TEST_SECRET", "of the environment")
    (tmp_path / "kept").write_text("of a file\n")
    program = "print('of a ' + 'command')"
    provider = write(
        tmp_path,
        f"[a]\n{ALL}environment = 'SOJOURN_TEST_SECRET'\n"
        f"[b]\n{ALL}file = '{tmp_path / 'kept'}'\n"
        f'[c]\n{ALL}command = ["{sys.executable}", "-c", "{program}"]\n',
    )
    assert {"a": "of the environment", "b": "of a file", "c": "of a command"} == had(
        provider, "a", "b", "c"
    )
    assert "a" == provider.secrecy.find(b"line: of the environment")


def test_a_changed_value_and_a_changed_file_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOJOURN_TEST_SECRET", "the old value")
    provider = write(tmp_path, f"[a]\n{ALL}environment = 'SOJOURN_TEST_SECRET'\n")
    assert {"a": "the old value"} == had(provider, "a")
    monkeypatch.setenv("SOJOURN_TEST_SECRET", "the new value")
    assert {"a": "the new value"} == had(provider, "a")
    assert "a" == provider.secrecy.find(b"the old value") == provider.secrecy.find(b"the new value")
    write(tmp_path, "")
    with pytest.raises(Denied, match="no secret 'a'"):
        had(provider, "a")


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (Rule(everyone=True), ""),
        (Rule(agents=(cid_text(AGENT),)), ""),
        (Rule(issuers=(cid_text(OTHER), cid_text(ISSUER))), ""),
        (Rule(agents=(cid_text(OTHER),)), "is not for agent b"),
        (Rule(issuers=(cid_text(OTHER),)), "of issuer b"),
        (Rule(), "is not for agent"),
        (Rule(everyone=True, actions=("model.call",), steps=("ask",)), ""),
        (Rule(everyone=True, actions=("bank.read",)), "is not for 'model.call'"),
        (Rule(everyone=True, steps=("tell",)), "is not for step 'ask'"),
        (Rule(agents=(cid_text(OTHER),), steps=("ask",)), "is not for agent"),
    ],
)
def test_a_rule_says_who_may_have_it_and_for_what(rule: Rule, problem: str) -> None:
    async def read() -> str:
        return "the value"

    provider = SecretProvider(lambda: {"a": Entry(rule, read)})
    if not problem:
        provider.check(("a",), RECORD, "ask", "model.call")
        assert {"a": "the value"} == had(provider, "a")
        return
    with pytest.raises(Denied, match=problem):
        provider.check(("a",), RECORD, "ask", "model.call")
    with pytest.raises(Denied, match=problem):
        had(provider, "a")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[a", "is not TOML"),
        ("a = 1", "secret 'a': Expected `object`, got `int`"),
        (f"[a]\n{ALL}", "has no source"),
        (f"[a]\n{ALL}environment = 'A'\nfile = 'b'", "has environment and file"),
        ("[a]\nenvironment = 'A'", "does not say whose agents may have it"),
        (f"[A]\n{ALL}environment = 'A'", "has a name that steps cannot declare"),
        (f"[a]\n{ALL}environment = 'A'\nvalue = 'x'", "unknown field `value`"),
        (f"[a]\n{ALL}command = []", "length >= 1"),
        (f"[a]\n{ALL}keyring = 'openai'", "matching regex"),
        (f"[a]\n{ALL}environment = 'sk-x'", "cannot be the name of a variable"),
        (
            "[a]\nagents = ['bafy']\nenvironment = 'A'",
            "agents names 'bafy', which is no identifier",
        ),
        ("[a]\neveryone = 'yes'\nenvironment = 'A'", "Expected `bool`, got `str`"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, problem: str) -> None:
    write(tmp_path, text)
    with pytest.raises(Misused, match=problem) as caught:
        secrets_in(tmp_path / "secrets.toml")
    assert "secrets.toml" in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("environment = 'SOJOURN_NOT_SET'", "SOJOURN_NOT_SET, which is not set"),
        ("file = '/no/such/file'", "cannot be read: No such file"),
        ("file = '{folder}/short'", "secret 'a' has 3 characters"),
        ("file = '{folder}/bytes'", "secret 'a' is no UTF-8 text"),
        ("command = ['/no/such/program']", "does not run: FileNotFoundError"),
        ('command = ["false"]', "ended with 1"),
        ('command = ["echo", "abc"]', "secret 'a' has 3 characters"),
    ],
)
def test_a_value_that_cannot_be_had_says_why(tmp_path: Path, source: str, problem: str) -> None:
    (tmp_path / "short").write_text("abc")
    (tmp_path / "bytes").write_bytes(b"\xff" * 20)
    provider = write(tmp_path, f"[a]\n{ALL}{source.format(folder=tmp_path)}")
    with pytest.raises(Misused, match=problem) as caught:
        had(provider, "a")
    assert caught.value.remedy


def test_without_a_keyring_installed_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    provider = write(tmp_path, f"[a]\n{ALL}keyring = 'openai/desk'")
    with pytest.raises(Misused, match="no keyring is installed") as caught:
        had(provider, "a")
    assert "sojourn[keyring]" in caught.value.remedy


def test_a_keyring_gives_what_it_holds(tmp_path: Path) -> None:
    keyring = pytest.importorskip("keyring")

    class Held(keyring.backend.KeyringBackend):  # type: ignore[misc, name-defined]
        priority = 1

        def set_password(self, service: str, username: str, password: str) -> None:
            raise NotImplementedError

        def get_password(self, service: str, username: str) -> str | None:
            if service == "locked":
                raise keyring.errors.KeyringLocked("no")
            return "of the keyring" if (service, username) == ("openai", "desk/1") else None

    before = keyring.get_keyring()
    keyring.set_keyring(Held())
    try:
        provider = write(
            tmp_path,
            f"[a]\n{ALL}keyring = 'openai/desk/1'\n[b]\n{ALL}keyring = 'openai/other'\n"
            f"[c]\n{ALL}keyring = 'locked/x'",
        )
        assert {"a": "of the keyring"} == had(provider, "a")
        with pytest.raises(Misused, match="no password of 'other' for 'openai'"):
            had(provider, "b")
        with pytest.raises(Misused, match="does not give secret 'c': KeyringLocked"):
            had(provider, "c")
    finally:
        keyring.set_keyring(before)


def test_a_keyring_in_a_file_gives_what_was_put_there(tmp_path: Path) -> None:
    keyring = pytest.importorskip("keyring")
    kept = pytest.importorskip("keyrings.alt.file").PlaintextKeyring()
    kept.file_path = str(tmp_path / "keyring.cfg")
    before = keyring.get_keyring()
    keyring.set_keyring(kept)
    try:
        keyring.set_password("openai", "desk", "the first value")
        assert (tmp_path / "keyring.cfg").exists()
        provider = write(
            tmp_path, f"[a]\n{ALL}keyring = 'openai/desk'\n[b]\n{ALL}keyring = 'x/y'\n"
        )
        assert {"a": "the first value"} == had(provider, "a")
        keyring.set_password("openai", "desk", "the second value")
        assert {"a": "the second value"} == had(provider, "a")
        with pytest.raises(Misused, match="no password of 'y' for 'x'"):
            had(provider, "b")
        (tmp_path / "keyring.cfg").write_text("no such format")
        with pytest.raises(Misused, match="does not give secret 'a'"):
            had(provider, "a")
    finally:
        keyring.set_keyring(before)
