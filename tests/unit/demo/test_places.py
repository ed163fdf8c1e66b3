"""Places: regions, jurisdictions and prices as the packaged data has them."""

import subprocess
import sys

import pytest

from sojourn.core.base.errors import Misused
from sojourn.demo.places import EEA_ONLY, EU_MEMBERS, jurisdictions, list_price, region
from sojourn.demo.sources import source_file


def test_region_in_the_union() -> None:
    place = region("aws", "eu-west-1")
    assert ("Ireland", "IE", ("EEA", "EU", "IE")) == (
        place.country,
        place.country_code,
        place.jurisdictions,
    )
    assert (53, -6) == (round(place.latitude), round(place.longitude))
    assert place.price is not None
    assert ("c5.large", 96_000) == (place.price.instance, place.price.price_micros)
    assert "libcloud/data/pricing.json" in place.price.source
    assert "aws_regions.json" in place.position_source


@pytest.mark.parametrize(
    ("provider", "name", "law"),
    [
        ("azure", "westeurope", {"NL", "EU", "EEA"}),
        ("azure", "germanywestcentral", {"DE", "EU", "EEA"}),
        ("gcp", "europe-west3", {"DE", "EU", "EEA"}),
        ("azure", "norwayeast", {"NO", "EEA"}),
        ("aws", "eu-central-2", {"CH"}),
        ("aws", "eu-west-2", {"GB"}),
        ("aws", "us-east-1", {"US"}),
    ],
)
def test_jurisdictions_of_real_regions(provider: str, name: str, law: set[str]) -> None:
    assert law == set(region(provider, name).jurisdictions)


def test_union_has_27_members_and_none_is_elsewhere() -> None:
    assert 27 == len(EU_MEMBERS)
    assert not EU_MEMBERS & EEA_ONLY
    assert ("FR", "EU", "EEA") == tuple(sorted(jurisdictions("FR"), key=("FR", "EU", "EEA").index))


@pytest.mark.parametrize(
    ("provider", "name"), [("aws", "eu-west-1"), ("azure", "westeurope"), ("gcp", "europe-west3")]
)
def test_every_provider_of_prices_has_one_of_two_processors(provider: str, name: str) -> None:
    price = list_price(provider, name)
    assert price is not None
    assert 50_000 < price.price_micros < 200_000


def test_zero_in_the_price_file_is_unknown_never_free() -> None:
    source = source_file("apache-libcloud", "libcloud/data/pricing.json")
    assert b'"eu-south-1": 0.0' in source.path.read_bytes()
    assert list_price("aws", "eu-south-1") is None


@pytest.mark.parametrize(
    ("provider", "name"),
    [("aws", "ap-southeast-9"), ("linode", "us-east"), ("azure", "norwayeast")],
)
def test_price_that_nobody_states_is_unknown(provider: str, name: str) -> None:
    assert list_price(provider, name) is None


def test_outside_the_union_is_cheapest() -> None:
    virginia = list_price("aws", "us-east-1")
    assert virginia is not None
    for provider, name in [("aws", "eu-west-1"), ("azure", "westeurope")]:
        other = list_price(provider, name)
        assert other is not None
        assert virginia.price_micros < other.price_micros


def test_unknown_region_names_some_that_are_known() -> None:
    with pytest.raises(Misused, match="'eu-west-9'") as caught:
        region("aws", "eu-west-9")
    assert "eu-west-1" in caught.value.remedy


@pytest.mark.parametrize("provider", ["hetzner", "../../etc/passwd", ""])
def test_unknown_provider(provider: str) -> None:
    with pytest.raises(Misused, match="has no provider") as caught:
        region(provider, "here")
    assert "azure" in caught.value.remedy


def test_missing_package_is_named_with_what_to_do() -> None:
    with pytest.raises(Misused, match="no-such-package, which is not installed") as caught:
        source_file("no-such-package", "data.json")
    assert "pip install no-such-package" in caught.value.remedy
    with pytest.raises(Misused, match="has no file"):
        source_file("apache-libcloud", "libcloud/data/no-such-file.json")


def test_reading_places_imports_neither_package() -> None:
    code = (
        "import sys; from sojourn.demo.places import region; region('aws', 'eu-west-1');"
        "sys.exit(any(name in sys.modules for name in ('libcloud', 'cloud_regions_info', 'pydantic')))"
    )
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
