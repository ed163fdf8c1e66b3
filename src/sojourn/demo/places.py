"""Real places: where a cloud region is, under whose law, and what an hour there costs.

Positions and countries come from the package `cloud-regions-info`, prices from the file that ships
with `apache-libcloud`; both are read as files. Prices are list prices on demand, Linux, of one
machine size that every provider sells: two virtual CPUs of the compute-optimised kind with 4 GiB
of memory.

In the price file 0.0 means unknown. Unknown is `None` here, never free.
"""

import time
from functools import cache
from typing import Any

import msgspec

from sojourn.core.base.encoding import Value
from sojourn.core.base.errors import Misused
from sojourn.demo.sources import SourceFile, source_file

__all__ = ["EEA_ONLY", "EU_MEMBERS", "ListPrice", "Place", "jurisdictions", "list_price", "region"]

EU_MEMBERS = frozenset(
    {"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"}
    | {"IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"}
)
"""The member states of the European Union, by ISO 3166-1 code, as of 2020."""
EEA_ONLY = frozenset({"IS", "LI", "NO"})
"""The states in the European Economic Area that are not in the Union (EEA Agreement)."""

COMPARABLE = {"aws": "c5.large", "azure": "F2s v2", "gcp": "n2-custom-2-4096"}
"""By provider, the machine type with two virtual CPUs and 4 GiB whose price stands for a
region's."""


class ListPrice(Value):
    """What one hour of a machine type costs in a region, and who says so."""

    price_micros: int
    instance: str
    source: str


class Place(Value):
    """A cloud region as the world knows it; `price` is None where the price is not known."""

    provider: str
    region: str
    location: str
    country: str
    country_code: str  # ISO 3166-1, two letters
    jurisdictions: tuple[str, ...]
    latitude: float  # degrees north
    longitude: float  # degrees east
    position_source: str
    price: ListPrice | None


def region(provider: str, name: str) -> Place:
    """Return the place of `provider`'s region `name`, such as ("aws", "eu-west-1").

    Raises `Misused` for a provider or a region that the region data does not know.
    """
    source, regions = _regions(provider)
    if name not in regions:
        problem = f"the provider {provider} has no region {name!r}"
        alike = sorted(known for known in regions if known[:2] == name[:2])
        raise Misused(problem, remedy=f"Take one of {', '.join(alike or sorted(regions))}")
    found = regions[name]
    code = _country_code(found["flag"])
    return Place(
        provider=provider,
        region=name,
        location=found["location"],
        country=found["country"],
        country_code=code,
        jurisdictions=jurisdictions(code),
        latitude=found["latitude"],
        longitude=found["longitude"],
        position_source=str(source),
        price=list_price(provider, name),
    )


def jurisdictions(country_code: str) -> tuple[str, ...]:
    """Return the jurisdictions of a country: its own, and the EU's and EEA's if it is in."""
    union = {"EU", "EEA"} if country_code in EU_MEMBERS else set[str]()
    area = {"EEA"} if country_code in EEA_ONLY else set[str]()
    return tuple(sorted({country_code} | union | area))


def list_price(provider: str, name: str) -> ListPrice | None:
    """Return the price of the provider's comparable machine in a region, None if unknown."""
    if provider not in COMPARABLE:
        return None
    source, updated, tables = _prices()
    usd = _PRICED_BY[provider](tables, name)
    if not usd:  # 0.0 is the file's word for "unknown"
        return None
    return ListPrice(
        price_micros=round(usd * 1_000_000),
        instance=COMPARABLE[provider],
        source=f"{source}, prices of {updated}",
    )


@cache
def _regions(provider: str) -> tuple[SourceFile, dict[str, Any]]:
    package, folder = "cloud-regions-info", "cloud_regions_info/mappings"
    files = source_file(package, f"{folder}/aws_regions.json").path.parent.glob("*_regions.json")
    known = sorted(file.name.removesuffix("_regions.json") for file in files)
    if provider not in known:
        remedy = f"Use one of {', '.join(known)}, or describe the site of a place of your own"
        raise Misused(f"the region data has no provider {provider!r}", remedy=remedy)
    source = source_file(package, f"{folder}/{provider}_regions.json")
    return source, msgspec.json.decode(source.path.read_bytes(), type=dict[str, Any])


def _country_code(flag: str) -> str:
    """Return the two letters that a flag is written with (regional indicators, Unicode 22.11)."""
    return "".join(chr(ord(letter) - 0x1F1E6 + ord("A")) for letter in flag)


class _PriceFile(msgspec.Struct):
    compute: dict[str, msgspec.Raw]
    updated: int


@cache
def _prices() -> tuple[SourceFile, str, dict[str, Any]]:
    source = source_file("apache-libcloud", "libcloud/data/pricing.json")
    file = msgspec.json.decode(source.path.read_bytes(), type=_PriceFile)
    wanted = ("ec2_linux", "azure_linux", "gce_instances")
    tables = {name: msgspec.json.decode(file.compute[name]) for name in wanted}
    return source, time.strftime("%Y-%m-%d", time.gmtime(file.updated)), tables


def _price_aws(tables: dict[str, Any], name: str) -> float | None:
    return _number(tables["ec2_linux"][COMPARABLE["aws"]].get(name))


def _price_azure(tables: dict[str, Any], name: str) -> float | None:
    return _number(tables["azure_linux"]["standardf2sv2"].get(name))


def _price_gcp(tables: dict[str, Any], name: str) -> float | None:
    """Return the price of two processors and 4 GiB, which this provider prices apart."""
    parts = tables["gce_instances"]["n2_custom"]
    cpu = parts["cpu"]["on_demand"].get(name, {}).get("price")
    ram = parts["ram"]["on_demand"].get(name, {}).get("price")
    return 2 * cpu + 4 * ram if cpu and ram else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


_PRICED_BY = {"aws": _price_aws, "azure": _price_azure, "gcp": _price_gcp}
