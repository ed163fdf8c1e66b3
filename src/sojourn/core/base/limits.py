"""Every limit and every constant of the protocol, in one place, each with its reason.

Exceeding a limit is an error with a name, before work is spent (architecture §8). Times are milliseconds.
"""

from typing import Final

# --- bytes -------------------------------------------------------------------------------------------
RECORD_BYTES_MAX: Final = 64 * 1024
"""An `AgentRecord`. It is the header that travels; memory is elsewhere. Typical: 2 KB."""
TRANSITION_BYTES_MAX: Final = 256 * 1024
"""A `Transition` with its attachments: a few certificates and a manifest."""
MANIFEST_BYTES_MAX: Final = 64 * 1024
ENVELOPE_BYTES_MAX: Final = 16 * 1024
CERTIFICATE_BYTES_MAX: Final = 64 * 1024
DOCUMENT_BYTES_MAX: Final = 128 * 1024
"""A governance document with its Cedar text."""
MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""One protocol message. h11 bounds an incomplete event the same way; ours carry blocks in batches."""
BLOCK_BYTES_MAX: Final = 1024 * 1024
"""One block. IPFS-family tools exchange blocks up to 1–2 MiB; ours are cut at 64 KiB."""
CHUNK_BYTES: Final = 64 * 1024
"""Where large values are cut, so that a small change ships little."""
CAPSULE_BYTES_MAX: Final = 2 * 1024**3
NESTING_DEPTH_MAX: Final = 64

# --- counts ------------------------------------------------------------------------------------------
ANCHORS_MAX: Final = 31
"""Beyond about 29 signers an aggregated scheme would be cheaper than lists (protocol §1)."""
HOSTS_MAX: Final = 4096
COMPARTMENTS_MAX: Final = 64
DOCUMENTS_MAX: Final = 32
RELATIONSHIPS_MAX: Final = 256
PLACES_MAX: Final = 1024
"""Zones one anchor knows; beyond that it learns of no new ones until some expire."""
ENDORSEMENTS_MAX: Final = 8192
ENDORSEMENT_DEPTH_MAX: Final = 8
ATTACHMENTS_MAX: Final = 64
ROUNDS_MAX: Final = 2**31
BATCH_LEAVES_MAX: Final = 4096
JOURNAL_RECORDS_PER_STEP_MAX: Final = 1024
RUN_RECORDS_WARN: Final = 10_000
"""A straight-line `run` that grows past this many records warns (architecture §5)."""

# --- times (milliseconds) ----------------------------------------------------------------------------
ROUND_BASE_MS: Final = 200
"""T0: an anchor asks for the next round after T0 * 2^round."""
ROUND_DOUBLINGS_MAX: Final = 8
"""The round timer stops doubling at T0 * 2^8, about 51 s: a long cut must not cost an hour afterwards."""
RANK_STEP_MS: Final = 250
"""A candidate or driver of rank i waits i times this."""
HOST_LEASE_MS: Final = 2_000
HOST_MARGIN: Final = 0.10
"""A host stops itself this part of its lease before the lease ends."""
CLOCK_DRIFT: Final = 1e-3
"""rho: the bounded rate error of a lease clock."""
VISA_DEADLINE_MS: Final = 30_000
"""Counted by each anchor from its first sight of the departure certificate (protocol §5)."""
GOSSIP_ROUND_MS: Final = 1_000
ENVELOPE_LIFETIME_MS: Final = 15_000
CLOCK_SKEW_MS: Final = 30_000
"""How far a transition's stated time may lie from an anchor's own clock (protocol §4)."""
RUN_AHEAD_RECORDS: Final = 64
RUN_AHEAD_MS: Final = 250
CALL_TIMEOUT_S: Final = 10.0
ARRIVAL_PATIENCE_MS: Final = 750
"""How long the host that a visa names has an arrival for itself before others are offered it."""
PRESS_EVERY_MS: Final = 1_000
"""An anchor of the source shows a departure to the target again after this long, doubling (protocol §5)."""
PRESS_EVERY_MS_MAX: Final = 60_000
MESSAGES_WAITING_MAX: Final = 1_000
"""Messages an anchor keeps for one agent until its host consumes them."""
