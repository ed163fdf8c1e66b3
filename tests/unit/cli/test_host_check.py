"""`sojourn host check`: all that is wrong in a host's files, by name, with its value and what to do."""

from pathlib import Path

import pytest

from tests.unit.cli.command import Command

CANARY = "sk-canary-0123456789"


@pytest.fixture
def folder(sojourn: Command, tmp_path: Path) -> Path:
    sojourn.good("host", "init", tmp_path / "h0")
    return tmp_path / "h0"


def wrong(sojourn: Command, folder: Path, *options: str) -> list[str]:
    done = sojourn("host", "check", folder, "--json", *options)
    found = [w for file in done.json["files"] for w in file["wrong"]]
    assert (1 if found else 0) == done.code, done
    assert all(each["remedy"] for each in found)
    assert CANARY not in done.out + done.err
    return [each["problem"] for each in found]


def test_a_host_as_it_was_made_is_right(sojourn: Command, folder: Path) -> None:
    assert [] == wrong(sojourn, folder)
    done = sojourn.good("host", "check", folder)
    assert "secrets.toml: 0 errors, 0 secrets" in done.out


def test_all_that_is_right_is_named_and_no_value_is(
    sojourn: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOJOURN_TEST_SECRET", CANARY)
    secret = 'everyone = true\nenvironment = "SOJOURN_TEST_SECRET"'
    (folder / "secrets.toml").write_text(f"[openai]\n{secret}\n[bank]\n{secret}\n")
    (folder / "models.toml").write_text('[bedrock]\nprotocol = "native"\n')
    offer = (folder / "offer.toml").read_text()
    (folder / "offer.toml").write_text(f"{offer}\n[queues.gpu]\nat_once = 2\n")
    done = sojourn.good("host", "check", folder, "--values")
    assert CANARY not in done.out
    for line in ("2 secrets: bank, openai", "1 provider: bedrock", "1 queue: gpu"):
        assert line in done.out


def test_every_mistake_is_told_and_not_the_first_alone(sojourn: Command, folder: Path) -> None:
    (folder / "secrets.toml").write_text(
        f"""
        [a]
        everyone = true
        environment = "{CANARY}"
        [b]
        issuers = ["alice"]
        environment = "B"
        [c]
        everyone = "yes"
        environment = "C"
        [d]
        everyone = true
        value = "{CANARY}"
        """
    )
    (folder / "models.toml").write_text(
        """
        [local]
        [odd]
        base_url = "models.example"
        [xai]
        protocol = "native"
        base_url = "https://models.example"
        """
    )
    (folder / "offer.toml").write_text("cpu_millis = -1")
    found = wrong(sojourn, folder)
    for problem in (
        "offer.toml: Expected `int` >= 0: `cpu_millis`",
        "secrets.toml: secret 'a' has an environment that cannot be the name of a variable",
        "secrets.toml: secret 'b': issuers names 'alice', which is no identifier",
        "secrets.toml: secret 'c': Expected `bool`, got `str` - at `$.everyone`, which is 'yes'",
        "secrets.toml: secret 'd': Object contains unknown field `value`",
        "models.toml: provider 'local' does not say where it is",
        "models.toml: provider 'odd' has base_url 'models.example', which is no address",
        "the client of provider 'xai' cannot be sent to base_url 'https://models.example'",
    ):
        assert any(problem in each for each in found), (problem, found)
    assert 8 == len(found)


def test_values_are_read_only_when_asked_for(
    sojourn: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOJOURN_NOT_SET", raising=False)
    (folder / "short").write_text("abc")
    (folder / "secrets.toml").write_text(
        "[a]\neveryone = true\nenvironment = 'SOJOURN_NOT_SET'\n"
        f"[b]\neveryone = true\nfile = '{folder / 'short'}'\n"
    )
    assert [] == wrong(sojourn, folder)
    unset, short = wrong(sojourn, folder, "--values")
    assert "is to be in SOJOURN_NOT_SET, which is not set" in unset
    assert "secret 'b' has 3 characters" in short


@pytest.mark.parametrize("name", ["secrets.toml", "models.toml", "offer.toml"])
@pytest.mark.parametrize(
    "data", [b"[a", b"\xff\xfe", b"a = 1", b"[a]\nb = 1", b"a = " + b"[" * 5000]
)
def test_a_file_that_is_none_is_told_in_a_line(
    sojourn: Command, folder: Path, name: str, data: bytes
) -> None:
    (folder / name).write_bytes(data)
    (problem,) = wrong(sojourn, folder)
    assert name in problem and "\n" not in problem


def test_a_folder_without_a_host_is_told(sojourn: Command, tmp_path: Path) -> None:
    done = sojourn("host", "check", tmp_path)
    assert "there is no host in" in done.line()
