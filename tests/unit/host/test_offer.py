"""The offer in a file: read again when it changes, kept when it turns out wrong."""

from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from sojourn.core.base.errors import Misused
from sojourn.host.offer import OfferFile, OfferSettings, default_settings, offer_text
from sojourn.runtime.host_side.turnstile import Limit

SETTINGS = OfferSettings(
    cpu_millis=2000, memory_mib=1024, slots=8, price_micros=85_000, packages=("msgspec",)
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "offer.toml"
    made.write_text(offer_text(SETTINGS))
    return made


def test_an_offer_is_what_its_file_says(path: Path) -> None:
    offer, price_micros = OfferFile(path)()
    assert (2000, 1024, 8, 85_000) == (
        offer.cpu_millis,
        offer.memory_mib,
        offer.slots,
        price_micros,
    )
    assert {"msgspec"} == set(offer.packages)


def test_all_packages_means_those_installed_here(path: Path) -> None:
    path.write_text(offer_text(default_settings(slots=1, price_micros=0)))
    offer, _ = OfferFile(path)()
    assert {"click", "msgspec", "structlog"} <= set(offer.packages)
    assert offer.cpu_millis >= 1000
    assert offer.memory_mib > 0


def test_a_changed_file_is_read_again(path: Path) -> None:
    offering = OfferFile(path)
    path.write_text(offer_text(msgspec.structs.replace(SETTINGS, price_micros=5, slots=100)))
    offer, price_micros = offering()
    assert (100, 5) == (offer.slots, price_micros)


@pytest.mark.parametrize("spoil", ["slots = -1", "slots =", 'packages = ["no-such-package"]'])
def test_a_file_that_turns_out_wrong_changes_nothing_and_is_logged_once(
    path: Path, spoil: str
) -> None:
    offering = OfferFile(path)
    before = offering()
    path.write_text(path.read_text() + f"\n{spoil}")
    with capture_logs() as logs:
        assert before == offering()
        assert before == offering()
    assert ["the offer stays as it was"] == [entry["event"] for entry in logs]
    path.unlink()
    assert before == offering()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("slots = 8", "slots = -1", "`slots`"),
        ("slots = 8", "", "missing required field `slots`"),
        ("slots = 8", "slots = 8\nslotz = 8", "unknown field `slotz`"),
        ('["msgspec"]', '["no-such-package"]', "package no-such-package is not installed here"),
        ('["msgspec"]', '"some"', "`packages`"),
    ],
)
def test_a_wrong_offer_is_one_line_at_the_start(path: Path, old: str, new: str, said: str) -> None:
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(Misused) as refused:
        OfferFile(path)
    assert said in str(refused.value)


def test_more_packages_than_an_envelope_holds_are_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {f"p{i}": "1" for i in range(500)}
    monkeypatch.setattr("sojourn.host.offer._installed_packages", lambda: many)
    path.write_text(offer_text(msgspec.structs.replace(SETTINGS, packages="all")))
    with pytest.raises(Misused, match="500 packages"):
        OfferFile(path)


def test_queues_are_limited_as_the_file_says_and_nobody_is_told(path: Path) -> None:
    offering = OfferFile(path)
    before = offering()
    assert {} == offering.queues()
    limits = "[queues.gpu]\nat_once = 2\n[queues.api]\nrate = 10\nper_s = 60\n"
    path.write_text(f"{path.read_text()}\n{limits}")
    assert {"gpu": Limit(at_once=2), "api": Limit(rate=10, per_s=60.0)} == offering.queues()
    assert before == offering()


def test_settings_with_queues_are_written_as_they_are_read(path: Path) -> None:
    queues = {"gpu": {"at_once": 2}, "api": {"rate": 10, "per_s": 2.5}}
    path.write_text(offer_text(msgspec.structs.replace(SETTINGS, queues=queues)))
    assert {"gpu": Limit(at_once=2), "api": Limit(rate=10, per_s=2.5)} == OfferFile(path).queues()


@pytest.mark.parametrize(
    ("wrong", "key", "value"),
    [
        ("queues = 3", "queues", "3"),
        ("[queues]\ngpu = 3", "queues.gpu", "3"),
        ("[[queues.gpu]]\nat_once = 1", "queues.gpu", "[{'at_once': 1}]"),
        ("[queues.gpu]", "queues.gpu", "{}"),
        ("[queues.Gpu]\nat_once = 1", "queues.Gpu", "{'at_once': 1}"),
        ("[queues.gpu]\nat = 1", "queues.gpu.at", "1"),
        ("[queues.gpu]\nat_once = 0", "queues.gpu.at_once", "0"),
        ("[queues.gpu]\nat_once = 1.5", "queues.gpu.at_once", "1.5"),
        ("[queues.gpu]\nat_once = true", "queues.gpu.at_once", "True"),
        ("[queues.gpu]\nrate = 'x'", "queues.gpu.rate", "'x'"),
        ("[queues.gpu]\nrate = 100001", "queues.gpu.rate", "100001"),
        ("[queues.gpu]\nrate = 1\nper_s = 0", "queues.gpu.per_s", "0"),
        (f"[queues.gpu]\nrate = 0x{'f' * 5000}", "queues.gpu.rate", "of no use"),
        ("[queues.gpu]\nrate = 1\nper_s = nan", "queues.gpu.per_s", "nan"),
        ("[queues.gpu]\nrate = 1\nper_s = inf", "queues.gpu.per_s", "inf"),
        ("[queues.gpu]\nat_once = 1\nper_s = 1", "queues.gpu.per_s", "1"),
    ],
)
def test_a_queue_that_is_wrong_is_an_error_with_file_key_and_value(
    path: Path, wrong: str, key: str, value: str
) -> None:
    text, queues = path.read_text(), OfferFile(path).queues
    path.write_text(f"{text}\n{wrong}")
    with pytest.raises(Misused) as raised:
        OfferFile(path)
    assert f"{path}: `{key}` is {value}" == raised.value.problem
    assert raised.value.remedy
    with capture_logs() as logs:
        assert {} == queues() == queues()
    assert ["the offer stays as it was"] == [entry["event"] for entry in logs]
