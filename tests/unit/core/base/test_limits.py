"""The constants that the protocol states are those of the code (protocol §0)."""

import re
from pathlib import Path

from sojourn.core.base import limits

PROMISES = Path(__file__).parents[4] / "docs" / "protocol" / "00-promises.md"
STATED = {
    "T0, the time before a round may be left": f"{limits.ROUND_BASE_MS // 1000} s",
    "rank step": f"{limits.RANK_STEP_MS} ms",
    "D, a host's lease": f"{limits.HOST_LEASE_MS // 1000} s",
    "a host's margin": f"{limits.HOST_MARGIN:.0%}",
    "rho, the bounded clock-rate error": f"{limits.CLOCK_DRIFT:.0e}".replace("e-0", "e-"),
    "visa deadline": f"{limits.VISA_DEADLINE_MS // 1000} s at most",
    "gossip round": f"{limits.GOSSIP_ROUND_MS // 1000} s",
    "an envelope's life": f"{limits.ENVELOPE_LIFETIME_MS // 1000} s",
    "how far a transition's stated time": f"{limits.CLOCK_SKEW_MS // 1000} s",
    "run-ahead window": f"{limits.RUN_AHEAD_RECORDS} records or {limits.RUN_AHEAD_MS} ms",
}


def test_section_0_states_the_constants_of_the_code() -> None:
    rows = re.findall(r"^\| (.+) \| (.+) \|$", PROMISES.read_text(), re.MULTILINE)
    table = dict(rows[rows.index(("what", "value")) + 1 :])
    found = {start: table[what] for what in table for start in STATED if what.startswith(start)}
    assert STATED == found
    assert len(table) == len(STATED), "a constant of the table is not compared"


def test_section_0_a_round_doubles_as_often_as_stated() -> None:
    assert f"at most {limits.ROUND_DOUBLINGS_MAX} times" in PROMISES.read_text()


def test_what_every_anchor_must_judge_alike_is_what_it_was() -> None:
    """Two anchors with other limits would vote otherwise on the same value: to change one is a new format."""
    assert {
        "RECORD_BYTES_MAX": 65_536,
        "TRANSITION_BYTES_MAX": 262_144,
        "MANIFEST_BYTES_MAX": 65_536,
        "ENVELOPE_BYTES_MAX": 16_384,
        "CERTIFICATE_BYTES_MAX": 65_536,
        "DOCUMENT_BYTES_MAX": 131_072,
        "MESSAGE_BYTES_MAX": 4_194_304,
        "BLOCK_BYTES_MAX": 1_048_576,
        "CHAPTER_BYTES_MAX": 1_048_576,
        "BODY_BYTES_MAX": 65_536,
        "NESTING_DEPTH_MAX": 64,
        "ANCHORS_MAX": 31,
        "HOSTS_MAX": 4_096,
        "COMPARTMENTS_MAX": 64,
        "DOCUMENTS_MAX": 32,
        "CHAPTERS_MAX": 8_192,
        "ENDORSEMENT_DEPTH_MAX": 8,
        "ROUNDS_MAX": 2_147_483_648,
        "BATCH_LEAVES_MAX": 4_096,
    }.items() <= vars(limits).items()
