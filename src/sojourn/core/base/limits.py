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
ORDER_BYTES_MAX: Final = 12 * 1024
"""A `SignedOrder` that is told on by gossip: 64 officers' seals fit, or 64 keys. Typical: 300 bytes."""
REVOCATION_BYTES_MAX: Final = ORDER_BYTES_MAX
"""A `SignedRevocation`: the seals of 64 officers fit. Typical: 350 bytes."""
MANDATE_BYTES_MAX: Final = ORDER_BYTES_MAX
"""A `Mandate`: it travels with what leans on it, an order or a document. Typical: 500 bytes for each delegation."""
HEAD_BYTES_MAX: Final = 4 * 1024
"""A `SignedHead`: its names are short, and its seal is one. Typical: 350 bytes."""
PROOF_BYTES_MAX: Final = 32 * 1024
"""A `Fraud` that is told on by gossip: two votes, and a certificate of 31 anchors. Typical: 600 bytes."""
ERASURE_BYTES_MAX: Final = 256 * 1024
"""A certificate of erasure: a manifest, and what 31 anchors state of 64 keys. Typical: 5 KB."""
MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""One protocol message. h11 bounds an incomplete event the same way; ours carry blocks in batches."""
PUBLISHED_BYTES_MAX: Final = DOCUMENT_BYTES_MAX + ORDER_BYTES_MAX
"""A `SignedDocument` that is told on by gossip: the largest document, with 64 officers' seals."""
BLOCK_BYTES_MAX: Final = 1024 * 1024
"""One block. IPFS-family tools exchange blocks up to 1–2 MiB; ours are cut at 64 KiB."""
CHAPTER_BYTES_MAX: Final = BLOCK_BYTES_MAX
"""A `Chapter`: up to three records with their certificates, and a warrant. Typical: 8 KB. It travels as a block."""
SUCCESSION_BYTES_MAX: Final = 256 * 1024
"""The seals of later documents in one chapter, all of which is written with every vote. Typical: 150 for each."""
SUCCESSION_SPARE_BYTES_MAX: Final = SUCCESSION_BYTES_MAX // 8
"""Of it, what may be spare: of 16 documents where 16 officers sign each, of four where 64 do."""
CHUNK_BYTES: Final = 64 * 1024
"""Where large values are cut, so that a small change ships little."""
BODY_BYTES_MAX: Final = 64 * 1024
"""The body of a message to an agent: an eighth of what a record of its journal holds, and half a reply holds 32."""
CAPSULE_BYTES_MAX: Final = 2 * 1024**3
ARRIVAL_BYTES_MAX: Final = CAPSULE_BYTES_MAX
"""The memory that an agent may bring: what can be exported can travel."""
LOOSE_BYTES_MAX: Final = ARRIVAL_BYTES_MAX
"""Blocks that no record names yet, put by a zone's hosts or by strangers: the largest agent can be copied ahead."""
LOOSE_OWN_BYTES_MAX: Final = 2 * LOOSE_BYTES_MAX
"""The same, put by one host or anchor of the own zone, which also brings those up to date that were away."""
LOOSE_SHARES_MAX: Final = 1024
"""Shares of keys of agents that are not launched yet, as blocks are counted: 33 bytes and a file each."""
NESTING_DEPTH_MAX: Final = 64
WAITING_MAX: Final = 64
"""Agents that wait for one another's answers, as a request names them: a longer way is named from its end."""

# --- counts ------------------------------------------------------------------------------------------
ANCHORS_MAX: Final = 31
"""Beyond about 29 signers an aggregated scheme would be cheaper than lists (protocol §1)."""
HOSTS_MAX: Final = 4096
COMPARTMENTS_MAX: Final = 64
LABELS_MAX: Final = 32
"""Labels of one compartment, of one message, and of all that code is told between two restart points."""
DOCUMENTS_MAX: Final = 32
SUCCESSORS_MAX: Final = 8
"""Versions of a document that one amendment may take at once: an agent that slept through more takes several."""
DELEGATIONS_MAX: Final = 4
"""Delegations that lean on one another: head office, region, country, desk."""
COOLING_MAX: Final = 16
"""Earlier policies of one agent that cool at a time, each asked at every boundary."""
SUCCESSION_MAX: Final = 256
"""Later documents whose seals a chain of custody holds: those by whom other officers were named, and the newest of
each line. A change of keys a year, in each of ten documents, for 25 years."""
SUCCESSION_SPARE_MAX: Final = 16
"""Of them, those without which the others prove as much, the newest: two runs of successors can be followed whole."""
CHAPTERS_MAX: Final = 8192
"""Terms of custody in one life: a move a day for 22 years. To admit the last of them takes an anchor two seconds."""
CHAPTERS_AT_ONCE: Final = 64
"""Chapters that one ruling checks, some 50 ms of signatures: votes and leases need not wait for a long life."""
RELATIONSHIPS_MAX: Final = 256
EVENTS_MAX: Final = 64
"""Zones that a record counts events against, the last standing for all others: some 8 KB at most."""
PLACES_MAX: Final = 1024
"""Zones one anchor knows; beyond that only one that an agent here has a use for is learned, for another."""
STRANGE_PLACES_MAX: Final = PLACES_MAX // 4
"""Of them, what one teller may tell that nobody here has a use for: manifests are free, so three others have room."""
ENDORSEMENTS_MAX: Final = 8192
STRANGE_ENDORSEMENTS_MAX: Final = ENDORSEMENTS_MAX // 4
"""Endorsements by issuers that no agent here relies on, of one teller: they are free like manifests."""
ENVELOPES_MAX: Final = 65_536
"""Hosts one anchor knows of, of all zones: what a summary has room for."""
STRANGE_ENVELOPES_MAX: Final = ENVELOPES_MAX // 4
"""Of them, those of zones that nobody here has a use for: such a zone enrols hosts for nothing."""
ENDORSEMENT_DEPTH_MAX: Final = 8
ORDERS_MAX: Final = 8192
"""Orders that one anchor knows about agents that are elsewhere; those about agents that are here come on top."""
STRANGE_ORDERS_MAX: Final = ORDERS_MAX // 4
"""Of them, what one teller may tell about agents that nobody here knows: keys and agents are free."""
ORDERS_PER_AGENT_MAX: Final = 16
"""Orders of one matter known to hold about one agent, which are not carried out: the newest; officers who give more
have erred."""
SUCCESSORS_KNOWN_MAX: Final = 1024
"""Documents that one anchor knows to succeed others, of all lines. Typical: 2 KB each."""
SUCCESSORS_PER_LINE_MAX: Final = 64
"""Of one line of documents, the newest: an agent that slept through more needs them brought by hand."""
STRANGE_SUCCESSORS_MAX: Final = SUCCESSORS_KNOWN_MAX // 4
"""Of those that follow nothing known here, what one teller may tell of,"""
STRANGE_SUCCESSORS_BYTES_MAX: Final = 8 * 1024 * 1024
"""and how large they may be together."""
PUBLISHED_AT_ONCE: Final = 64
"""Documents in one message."""
HEADS_KNOWN_MAX: Final = 8192
"""Heads of policies that one anchor knows, of all lines and officers. Typical: 350 bytes each."""
STRANGE_HEADS_MAX: Final = HEADS_KNOWN_MAX // 4
"""Of those of documents that nobody here knows, what one teller may tell of."""
HEADS_AT_ONCE: Final = 256
"""Heads in one message: to check them takes some 20 ms."""
ORDERS_AT_ONCE: Final = 256
"""Orders in one message: to check them takes a second if each has 64 seals, and 20 ms if each has one."""
REVOCATIONS_KNOWN_MAX: Final = 4096
"""Revocations that one anchor knows, of all authorities. Typical: 350 bytes each."""
REVOCATIONS_PER_AUTHORITY_MAX: Final = 1024
"""Of one issuer, or of the own zone, the newest: who revokes more should revoke keys, or themselves."""
STRANGE_REVOCATIONS_MAX: Final = REVOCATIONS_KNOWN_MAX // 4
"""Of issuers that have no agents here and of other zones, what one teller may tell."""
STRANGE_REVOCATIONS_ALIKE_MAX: Final = 64
"""Of those in one authority's name about one subject: each vote for an agent that it may concern looks at them."""
REVOCATIONS_AT_ONCE: Final = 256
"""Revocations in one message."""
PROOFS_MAX: Final = 1024
"""Anchors, of all zones, of which one anchor keeps a proof that they lied; one proof for each."""
STRANGE_PROOFS_MAX: Final = PROOFS_MAX // 4
"""Of them, those of zones that nobody here has a use for, of one teller: zones are free, and lies in them."""
PROOFS_AT_ONCE: Final = 64
"""Proofs in one message: to check them takes some 10 ms, or 100 if each shows a certificate of 31 anchors."""
WITNESSED_SLOTS_MAX: Final = 1024
"""Slots of which an anchor remembers who voted for what, the newest: what is said later of older ones is compared
with what it has stored as decided."""
WITNESSED_CERTIFICATES_MAX: Final = 16
"""Certificates of one slot that are remembered, and for each anchor so many single votes: an honest slot has two."""
ATTACHMENTS_MAX: Final = 64
SPAWN_DEPTH_MAX: Final = 8
"""Ancestors of one agent: the chain of custody of each is proved at every border that it crosses."""
FORK_KIN_MAX: Final = 4 * SPAWN_DEPTH_MAX
"""Agents that a fork comes from, its ancestors and the origins of forks: each is proved like an ancestor."""
KIN_MAX: Final = FORK_KIN_MAX + SPAWN_DEPTH_MAX
"""Agents that any comes from: so the descendants of a fork are proved as well."""
CHILDREN_MAX: Final = 1024
"""Children that one agent ever has: with the depth, and what budgets hold, that bounds its descendants."""
ROUNDS_MAX: Final = 2**31
APPLICATIONS_MAX: Final = 4096
"""Applications for entry that an anchor keeps: some 20 KB each, and anybody can have zones and agents to apply."""
APPLICATIONS_PER_ZONE_MAX: Final = 256
"""Of one zone, those whose deadline is not over: more than it has hosts to run them from, and a sixteenth of all."""
BATCH_LEAVES_MAX: Final = 4096
JOURNAL_RECORDS_PER_STEP_MAX: Final = 1024
VERSIONS_PER_S: Final = 200
"""Versions of one agent that an anchor votes for in a second, in the long run. Thousands of steps fit in them."""
VERSIONS_BURST: Final = 1_000
"""Versions of one agent at once, after a rest: a backlog is not held up (protocol §4 check 15)."""
RUN_RECORDS_WARN: Final = 10_000
"""A straight-line `run` that grows past this many records warns (architecture §5)."""

# --- times (milliseconds) ----------------------------------------------------------------------------
ROUND_BASE_MS: Final = 1_000
"""T0: an anchor asks for the next round after T0 * 2^round. With 200 a zone with 256 agents at work on two cores
left rounds that were about to decide, and fell to a fifth of the decisions (ADR 0015)."""
ROUND_DOUBLINGS_MAX: Final = 6
"""The round timer stops doubling at T0 * 2^6, about a minute: a long cut must not cost an hour afterwards."""
DECISIONS_AT_ONCE: Final = 16
"""Decisions that one host drives at a time: more only wait at the anchors, where they wear out their rounds."""
RANK_STEP_MS: Final = 250
"""A candidate or driver of rank i waits i times this."""
HOST_LEASE_MS: Final = 2_000
HOST_MARGIN: Final = 0.10
"""A host stops itself this part of its lease before the lease ends."""
CLOCK_DRIFT: Final = 1e-3
"""rho: the bounded rate error of a lease clock."""
VISA_DEADLINE_MS: Final = 30_000
"""Counted by each anchor from its first sight of the departure certificate (protocol §5)."""
LOOSE_KEPT_MS: Final = 20 * VISA_DEADLINE_MS
"""A block that no record names is kept so long after it was put or asked for: to copy ahead and apply takes less."""
APPLICATION_KEPT_MS: Final = 120 * VISA_DEADLINE_MS
"""An application is kept so long at least, for the departure that may follow; then until its room is needed."""
GOSSIP_ROUND_MS: Final = 1_000
CLOCK_SKEW_MS: Final = 30_000
"""How far a transition's stated time may lie from an anchor's own clock (protocol §4)."""
SPREAD_PAUSE_MS: Final = 50
"""What is new is told on at once, and what comes so soon after it goes together."""
SPREAD_ZONES: Final = 4
"""Other zones that an anchor tells at once of what is new: with each telling as many, all know it in a few steps."""
ORDER_LEFT_MS_MIN: Final = CLOCK_SKEW_MS
"""An order about an agent that nobody knows is carried on if it holds so long yet: its place is not free at once."""
SUCCESSOR_CARRIED_MS: Final = 30 * 24 * 60 * 60 * 1000
"""A document that follows nothing known here is carried so long: documents hold for years, and places are few."""
ORDER_LEFT_MS_MAX: Final = 90 * 24 * 60 * 60 * 1000
"""And if it holds no longer than that: its place must be free one day."""
REVOCATION_HOLDS_MS: Final = 10 * 365 * 24 * 60 * 60 * 1000
"""How long a revocation stands unless it is lifted. One length for all: a newer word never ends before an older."""
STRANGE_REVOCATION_CARRIED_MS: Final = 90 * 24 * 60 * 60 * 1000
"""Where nobody is known whom it concerns, it is carried so long: places are few, and revocations stand for years."""
DELEGATION_HOLDS_MS_MAX: Final = 366 * 24 * 60 * 60 * 1000
"""For how long an issuer may let others act for it, unless it says so again: a year, as certificates are renewed."""
HEAD_HOLDS_MS_MAX: Final = 90 * 24 * 60 * 60 * 1000
"""For how long an officer may vouch at once that a policy is the newest: its place must be free one day."""
ENVELOPE_LIFETIME_MS: Final = 15_000
RUN_AHEAD_RECORDS: Final = 64
RUN_AHEAD_MS: Final = 250
CALL_TIMEOUT_S: Final = 10.0
ARRIVAL_PATIENCE_MS: Final = 750
"""How long the host that a visa names has an arrival for itself before others are offered it."""
PRESS_EVERY_MS: Final = 1_000
"""An anchor of the source shows a departure to the target again after this long, doubling (protocol §5)."""
PRESS_EVERY_MS_MAX: Final = 60_000
APPROVERS_MAX: Final = 64
"""Keys of one group of approvers, as of an issuer's officers."""
APPROVALS_MAX: Final = APPROVERS_MAX * (COOLING_MAX + 1)
"""Approvals of one action: by a group for each policy that asks."""
APPROVER_GROUPS_MAX: Final = 32
PETITIONS_MAX: Final = 16
"""Actions of one agent that wait for an approval at a time: they stand in its record."""
SECRETS_MAX: Final = 16
"""Secrets that one step is handed."""
SECRET_CHARS_MIN: Final = 8
"""What is shorter stands in too much that is no secret to be kept out of it."""
SECRET_CHARS_MAX: Final = 16_384
PROGRESS_CHARS_MAX: Final = 1_024
INQUIRIES_MAX: Final = 16
"""Questions of one agent's code that are open at a time: people read them."""
QUESTION_CHARS_MAX: Final = 8_192
EXPECTED_CHARS_MAX: Final = 16 * 1024
"""The JSON schema of the answer to a question."""
MESSAGES_WAITING_MAX: Final = 1_000
"""Messages an anchor keeps for one agent until its host consumes them."""
