"""Checks that are left out, one at a time, and the tests that notice (protocol §1, §3, §4, §5, §8, §10)."""

import contextlib
import itertools
from collections.abc import Callable, Mapping
from typing import Any, Final
from unittest.mock import patch

from msgspec.structs import replace

from sojourn.anchor.gossiping import Gossip
from sojourn.anchor.loose import Loose
from sojourn.anchor.stored import KnownStored
from sojourn.anchor.watermark import Watermarks
from sojourn.core.agent import governance, transition
from sojourn.core.agent.memory.field import may_reside
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind, check_change
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected, SojournError
from sojourn.core.base.seals import Kind, Role
from sojourn.core.policy.document import PolicyDocument
from sojourn.core.policy.engine import prepare
from sojourn.core.protocol import (
    admission,
    amending,
    anchor,
    applying,
    chains,
    custody,
    decree,
    kept,
    permission,
    validate,
)
from sojourn.core.protocol.chains import ChainMemo
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier, OpenSlot, View
from sojourn.core.protocol.promises import PromiseBook
from sojourn.core.protocol.rates import RateBook
from sojourn.core.protocol.rounds import RoundChange
from sojourn.core.protocol.visa import Visa
from sojourn.core.quorum import votes
from sojourn.core.quorum.certificates import Certificate, RoundCertificate
from sojourn.core.quorum.votes import Slot, Tally, Vote
from tests.planted.plant import Plant, Planting, all_of, in_place_of, instead, nothing
from tests.planted.vehicles import Schedules, Test

__all__ = ["PLANTS"]

FOLDER: Final = "tests/unit/core/"
PERMITS_ALL: Final = "permit (principal, action, resource);"


def _lets_pass(owner: Any, name: str, *reasons: str) -> Planting:
    """Return how a check says yes where it would say no for one of some reasons."""
    return instead(owner, name, lambda right: _forgiving(right, reasons))


def _forgiving(right: Callable[..., Any], reasons: tuple[str, ...]) -> Callable[..., Any]:
    def check(*args: Any, **named: Any) -> Any:
        try:
            return right(*args, **named)
        except SojournError as error:
            reason = error.reason if isinstance(error, Rejected) else error.code
            if reason not in reasons:
                raise
            return None

    return check


def _of_kind(kind: TransitionKind, make: Callable[[Any], Any]) -> Planting:
    """Return how the check of one kind of transition is exchanged."""
    return lambda: patch.dict(validate._CHECKS, {kind: make(validate._CHECKS[kind])})


def _commits_twice(right: Any) -> Any:
    def commit_vote(state: OpenSlot, *rest: Any) -> Any:
        return right(replace(state, commit_voted=None), *rest)

    return commit_vote


def _term_left_open(right: Any) -> Any:
    def applied(dossier: Dossier, done: Any, *rest: Any) -> Any:
        ruling = right(dossier, done, *rest)
        if done.transition.kind is not TransitionKind.REFUSE or ruling.dossier is None:
            return ruling
        after = replace(ruling.dossier, high_term=dossier.high_term)
        return replace(ruling, dossier=after)

    return applied


def _adds_any(tally: Tally, vote: Vote) -> None:
    tally._votes.setdefault(vote.ballot.anchor, vote)


def _adds_up(right: Any) -> Any:
    """Count whoever votes twice for both values."""

    def votes_for(tally: Tally, value: bytes) -> list[Vote]:
        both = [vote for pair in tally.conflicts.values() for vote in pair]
        mine = [vote for vote in both if vote.ballot.value == value]
        return list({vote.ballot.anchor: vote for vote in [*right(tally, value), *mine]}.values())

    return votes_for


def _heard_as_any(right: Any) -> Any:
    def heard_vote(change: RoundChange, index: int, reply: Any) -> None:
        change._votes[index] = reply.vote

    return heard_vote


def _permissive(*_of: Any) -> Any:
    return prepare((PolicyDocument(name="all", text=PERMITS_ALL),), judges_foreign=True)


def _of_any_kind(right: Any) -> Any:
    """Take a seal of any kind, in any role."""

    def check_seal(_kind: Kind, _role: Role, named: bytes, seal: Any, **where: str) -> None:
        for kind, role in itertools.product(Kind, Role):
            with contextlib.suppress(Rejected):
                right(kind, role, named, seal, **where)
                return
        raise Rejected("no seal", reason="bad-signature")

    return check_seal


def _by_its_own_officers(_right: Any) -> Any:
    return lambda _old, new: (new.officers, new.officers.amend)


def _zone_unasked(right: Any) -> Any:
    def permit(
        record: Any, documents: Any, action: str, place: Any, view: View, *rest: Any
    ) -> None:
        lenient = replace(view.manifest, policy=PERMITS_ALL)
        right(record, documents, action, place, replace(view, manifest=lenient), *rest)

    return permit


def _by_name_alone(right: Any) -> Any:
    return lambda names, _manifests, memo: right(names, _AnyOf(memo, names), memo)


class _AnyOf(dict[bytes, Any]):
    """The manifests with which the beginning of a chain was checked, whatever they are now."""

    def __init__(self, memo: ChainMemo, names: Any) -> None:
        super().__init__()
        for name in names:
            self.update(memo.get(name) or {})


def _judged_again(right: Any) -> Any:
    def check_proposal(*known: Any, is_locked: bool) -> None:
        right(*known, is_locked=False)

    return check_proposal


async def _at_once(_gossiping: Any) -> None:
    """Wait for nobody."""


def plant(name: str, trap: int, fault: str, node: str, planted: Planting) -> Plant:
    """Return a plant that one test notices."""
    return Plant(name, trap, fault, Test(FOLDER + node), "fails", planted)


def _believing(made: Transition, old: AgentRecord, slot: Slot, _: Mapping[str, int]) -> None:
    check_change(made.kind, old, made.record, slot)


PLANTS: Final = (
    Plant(
        "any-certificate",
        0,
        "certificates are not checked",
        Schedules("liars"),
        "no loss",
        in_place_of(Certificate, "check", nothing),
    ),
    Plant(
        "any-seal",
        0,
        "votes are counted whoever signed them",
        Schedules("liars"),
        "no loss",
        in_place_of(votes, "check_seal", nothing),
    ),
    Plant(
        "any-decision",
        0,
        "a decision is applied without its certificate being checked",
        Schedules("liars"),
        "no fork",
        in_place_of(Certified, "check", nothing),
    ),
    Plant(
        "any-author",
        0,
        "anybody authors anything",
        Schedules("liars"),
        "nothing unentitled",
        in_place_of(validate, "_check_author", nothing),
    ),
    plant(
        "seal-of-any-kind",
        11,
        "a seal of another kind or role serves as a vote's",
        "quorum/test_votes.py::test_trap_11_no_signature_of_another_kind_or_role_is_a_vote",
        instead(votes, "check_seal", _of_any_kind),
    ),
    plant(
        "judged-by-the-new",
        41,
        "a successor of a document is judged by its own officers",
        "agent/test_governance.py::test_trap_41_an_amendment_cannot_appoint_its_own_judges",
        instead(governance, "signers_of", _by_its_own_officers),
    ),
    plant(
        "any-successor",
        0,
        "a document takes another's place, whoever signed it",
        "protocol/test_amending.py::test_trap_41_as_many_officers_as_the_document_before_says",
        in_place_of(amending, "check_successor", nothing),
    ),
    plant(
        "forgets-what-cools",
        0,
        "nobody asks the policy that was amended, though it has not cooled",
        "protocol/test_amending.py::test_section_8_6_what_is_widened_waits_until_the_old_policy_has_cooled",
        in_place_of(permission, "_cooling", lambda _governing: ()),
    ),
    plant(
        "any-succession",
        54,
        "a zone's word for an amendment is enough",
        "protocol/test_succession.py::test_no_capsule_holds_a_policy_that_officers_did_not_seal",
        in_place_of(custody, "check_succession", nothing),
    ),
    plant(
        "keeps-nothing",
        46,
        "what a vote names is collected like any loose block",
        "../anchor/test_loose.py::test_trap_46_what_is_named_is_kept_with_all_below_it",
        in_place_of(Loose, "keep", nothing),
    ),
    plant(
        "remembers-removed",
        46,
        "a block that was removed is still remembered as stored",
        "../anchor/test_stored.py::test_trap_46_a_block_that_is_asked_for_while_it_is_removed_is_missing_afterwards",
        in_place_of(KnownStored, "forget", nothing),
    ),
    plant(
        "watermark-unkept",
        7,
        "what an anchor saw of its peers' votes is in its memory alone",
        "../anchor/test_watermark.py::test_what_was_seen_is_found_again_in_the_store_but_for_the_last_few_votes",
        in_place_of(Watermarks, "changes", lambda _marks: []),
    ),
    plant(
        "any-round-certificate",
        26,
        "the votes of which a round is proved to be left are not checked",
        "quorum/test_certificates.py::test_trap_10_a_round_is_left_by_a_quorum_of_distinct_anchors",
        in_place_of(RoundCertificate, "check", nothing),
    ),
    plant(
        "watermark-unasked",
        7,
        "an anchor that starts votes before peers have said what they saw",
        "../anchor/test_watermark.py::test_trap_7_no_vote_is_cast_before_peers_have_said_what_they_saw",
        in_place_of(Gossip, "wait_asked", _at_once),
    ),
    plant(
        "any-slot",
        12,
        "an anchor votes in slots of another zone, realm or epoch",
        "protocol/test_decree.py::test_rule_1_and_trap_12_another_slot_is_not_this_one",
        in_place_of(anchor, "_slot_is_ours", nothing),
    ),
    plant(
        "free-jumps",
        26,
        "a round is entered without proof that the one before was left",
        "protocol/test_decree.py::test_rule_2_and_trap_26_no_round_is_entered_without_proof",
        in_place_of(decree, "check_entry", nothing),
    ),
    plant(
        "opens-for-anybody",
        26,
        "an anchor opens a slot on the word of nobody",
        "protocol/test_decree_phases.py::test_trap_26_nobody_has_a_slot_opened_without_a_correct_anchor",
        in_place_of(decree, "check_stuck", nothing),
    ),
    plant(
        "any-leader",
        0,
        "anybody proposes in rounds from 1 on",
        "protocol/test_decree.py::test_rule_5_from_round_1_on_only_the_leader_proposes",
        in_place_of(anchor, "_check_leader", nothing),
    ),
    plant(
        "unchecked-justification",
        0,
        "a justification may be of any value, round or phase",
        "protocol/test_decree.py::test_rule_4_a_justification_is_an_earlier_lock_on_this_very_value",
        in_place_of(decree, "check_justification", nothing),
    ),
    plant(
        "commits-twice",
        0,
        "a second commit vote is given in a round",
        "protocol/test_decree_phases.py::test_one_commit_vote_a_round",
        instead(decree, "commit_vote", _commits_twice),
    ),
    plant(
        "any-phase",
        1,
        "a certificate of one phase passes for one of another",
        "quorum/test_certificates.py::test_trap_1_a_certificate_of_one_phase_is_none_of_another",
        _lets_pass(Certificate, "check", "wrong-phase"),
    ),
    plant(
        "counts-twice",
        10,
        "a signer is counted twice in a certificate",
        "quorum/test_certificates.py::test_trap_10_only_distinct_anchors_in_order_and_enough_of_them_count",
        _lets_pass(Certificate, "check", "duplicate-signer"),
    ),
    plant(
        "hears-twice",
        10,
        "who votes for two values is counted for both",
        "quorum/test_votes.py::test_an_anchor_counts_once_with_its_first_vote_and_the_second_is_evidence",
        instead(Tally, "votes_for", _adds_up),
    ),
    plant(
        "any-tally",
        3,
        "a tally takes votes of other rounds and phases",
        "quorum/test_votes.py::test_trap_3_a_tally_takes_no_vote_of_another_slot_round_or_phase",
        in_place_of(Tally, "add", _adds_any),
    ),
    plant(
        "any-round-vote",
        3,
        "votes to leave other rounds count for this one",
        "protocol/test_rounds.py::test_trap_3_votes_for_something_else_do_not_count",
        instead(RoundChange, "_heard_vote", _heard_as_any),
    ),
    plant(
        "visa-by-certificate",
        9,
        "a record names a visa by its certificate",
        "protocol/test_visa.py::test_trap_9_a_visa_is_named_by_its_terms",
        in_place_of(Visa, "digest", property(digest_of)),
    ),
    plant(
        "any-parent",
        0,
        "a transition need not follow from the head",
        "protocol/test_refusal.py::test_trap_16_an_earlier_refusal_does_not_bring_back_a_later_departure",
        _lets_pass(anchor, "check_proposal", "wrong-parent"),
    ),
    plant(
        "without-lease",
        0,
        "a host whose lease has run out steps",
        "protocol/test_validate.py::test_section_4_check_10_a_step_needs_a_live_lease_here",
        in_place_of(validate, "_check_lease", nothing),
    ),
    plant(
        "any-time",
        0,
        "the author's time is not held against the anchor's clock",
        "protocol/test_anchor.py::test_section_4_the_authors_time_is_bounded_by_the_anchors_clock",
        in_place_of(validate, "CLOCK_SKEW_MS", 2**62),
    ),
    plant(
        "any-field",
        42,
        "a transition may change any field",
        "agent/test_transition.py::test_trap_42_only_the_fields_of_its_row_may_change",
        in_place_of(transition, "_covers", lambda *_: True),
    ),
    plant(
        "overspends",
        0,
        "budgets are not kept",
        "protocol/test_validate.py::test_section_4_check_12_a_step_overspends_nothing",
        in_place_of(transition, "check_budgets", nothing),
    ),
    Plant(
        "underspends",
        0,
        "what a transition must spend is what its author says",
        Schedules("liars"),
        "nothing unentitled",
        in_place_of(validate, "check_transition", _believing),
    ),
    plant(
        "blocks-unasked",
        23,
        "an anchor votes for memory that it does not store",
        "protocol/test_validate.py::test_trap_23_no_lock_vote_without_the_blocks",
        all_of(
            in_place_of(validate, "check_blocks", nothing),
            in_place_of(kept, "check_blocks", nothing),
        ),
    ),
    plant(
        "share-unasked",
        23,
        "an anchor votes for a birth whose key it has no share of",
        "protocol/test_keeping.py::"
        "test_trap_23_an_anchor_votes_for_no_birth_whose_key_it_has_no_share_of",
        in_place_of(kept, "check_shares", nothing),
    ),
    plant(
        "key-travels",
        48,
        "an encrypted compartment goes wherever its residency lets it",
        "protocol/test_keeping.py::"
        "test_trap_48_a_key_stays_behind_when_the_agent_leaves_and_is_there_when_it_returns",
        in_place_of(admission, "may_travel", may_reside),
    ),
    plant(
        "erased-by-anybody",
        0,
        "where an agent was, a key is destroyed on anybody's word",
        "protocol/test_keeping.py::test_where_the_agent_was_its_officers_order_is_enough",
        in_place_of(SignedOrder, "check", nothing),
    ),
    plant(
        "any-intent",
        0,
        "the intent shown need not be the one recorded",
        "protocol/test_validate.py::test_section_10_the_intent_shown_is_the_one_recorded",
        _of_kind(TransitionKind.INTEND, lambda right: _forgiving(right, ("no-intent",))),
    ),
    Plant(
        "zone-unasked",
        0,
        "the zone's own policy is not asked about what its agents do",
        Schedules("liars"),
        "nothing unpermitted",
        instead(validate, "_permit", _zone_unasked),
    ),
    plant(
        "agent-unasked",
        0,
        "the agent's own policy is not asked",
        "protocol/test_visa.py::test_section_4_the_agents_own_policy_may_veto",
        in_place_of(permission, "agent_policy", _permissive),
    ),
    plant(
        "untrusted",
        0,
        "trust is not judged",
        "protocol/test_visa.py::test_section_4_trust_is_recomputed_by_the_target",
        in_place_of(permission, "check_trusted", nothing),
    ),
    plant(
        "unenrolled",
        0,
        "a host without a current envelope binds",
        "protocol/test_binding.py::test_a_bind_names_an_enrolled_host_with_a_current_envelope",
        _of_kind(TransitionKind.BIND, lambda right: _forgiving(right, ("refused",))),
    ),
    plant(
        "born-twice",
        0,
        "an agent that exists is born again",
        "protocol/test_validate_genesis.py::test_an_agent_is_born_once",
        _lets_pass(validate, "_check_genesis", "exists"),
    ),
    plant(
        "unsealed",
        11,
        "a genesis needs no officers' seals",
        "protocol/test_validate_genesis.py::test_trap_11_nobody_else_launches",
        in_place_of(validate, "warrant_of", nothing),
    ),
    plant(
        "any-target",
        20,
        "a departure for another zone is admitted",
        "protocol/test_admission.py::test_trap_20_a_departure_for_another_zone_is_nothing_here",
        all_of(
            _lets_pass(validate, "check_departure", "wrong-zone"),
            _lets_pass(anchor, "check_departure", "wrong-zone"),
        ),
    ),
    plant(
        "any-visa",
        0,
        "a departure is taken with a visa that it does not name",
        "protocol/test_admission.py::test_section_4_check_8_a_departure_is_shown_with_the_visa_it_names",
        all_of(
            in_place_of(validate, "check_visa_of", nothing),
            in_place_of(anchor, "check_visa_of", nothing),
        ),
    ),
    plant(
        "void-visa",
        0,
        "a visa holds though what it was judged by has changed",
        "protocol/test_admission.py::test_section_5_a_visa_is_void_when_what_it_was_judged_by_has_changed",
        _lets_pass(Visa, "check", "void-visa"),
    ),
    plant(
        "applies-again",
        21,
        "an agent applies for a term that is closed",
        "protocol/test_visa.py::test_trap_21_a_closed_term_is_not_applied_for",
        _lets_pass(anchor, "_check_terms", "closed-term"),
    ),
    plant(
        "term-left-open",
        21,
        "a refusal does not raise the highest closed term",
        "protocol/test_refusal.py::test_section_5_a_refusal_closes_the_term_and_makes_no_version",
        instead(anchor, "applied", _term_left_open),
    ),
    plant(
        "refuses-early",
        17,
        "an anchor refuses before the deadline on its own clock",
        "protocol/test_refusal.py::test_trap_17_nobody_refuses_before_the_deadline_on_its_own_clock",
        _of_kind(TransitionKind.REFUSE, lambda right: _forgiving(right, ("refused",))),
    ),
    plant(
        "refuses-unseen",
        18,
        "an anchor refuses an agent that has not departed",
        "protocol/test_refusal.py::test_trap_18_nobody_refuses_an_agent_that_has_not_departed",
        _of_kind(TransitionKind.REFUSE, lambda right: nothing),
    ),
    plant(
        "returns-unrefused",
        16,
        "a return needs no refusal",
        "protocol/test_refusal.py::test_trap_16_only_the_refusal_of_that_very_departure_brings_it_back",
        in_place_of(validate, "check_refusal", nothing),
    ),
    plant(
        "evidence-believed",
        16,
        "evidence shown with a decision is kept unchecked",
        "protocol/test_anchor.py::test_trap_16_a_forged_departure_or_refusal_does_not_enter_the_chain",
        in_place_of(applying, "_holds", lambda check: True),
    ),
    plant(
        "past-believed",
        0,
        "what another anchor says of the past is taken unchecked",
        "protocol/test_applying.py::test_section_3_nothing_unexplained_is_taken_from_another_anchor",
        all_of(
            in_place_of(applying, "check_chain", nothing),
            in_place_of(applying, "check_head", nothing),
        ),
    ),
    plant(
        "any-chain",
        13,
        "the chain of custody is not checked",
        "protocol/test_chains.py::test_trap_13_a_chain_that_is_not_the_agents_is_rejected_by_name",
        in_place_of(anchor, "check_onward", lambda *_: True),
    ),
    plant(
        "no-warrant",
        54,
        "a target does not ask for the officers' seals",
        "protocol/test_warrant.py::test_section_8_a_target_takes_nobody_without_its_officers_seals",
        in_place_of(anchor, "check_family", nothing),
    ),
    plant(
        "stale-manifest",
        0,
        "a zone whose manifest has expired sends and takes agents",
        "protocol/test_visa.py::test_trap_40_a_zone_whose_manifest_has_expired_sends_and_takes_nobody",
        all_of(
            in_place_of(validate, "check_fresh", nothing),
            in_place_of(anchor, "check_fresh", nothing),
        ),
    ),
    plant(
        "any-rate",
        50,
        "an agent makes versions as fast as it likes",
        "protocol/test_rates.py::test_section_4_check_15_who_goes_on_too_fast_is_refused_for_now",
        in_place_of(RateBook, "check", nothing),
    ),
    plant(
        "any-number",
        50,
        "a zone's agents apply without bound",
        "protocol/test_promises.py::test_trap_50_a_zone_cannot_apply_for_unlimited_agents",
        in_place_of(PromiseBook, "check_room", nothing),
    ),
    plant(
        "any-size",
        50,
        "a record may have any size",
        "protocol/test_validate.py::test_trap_50_a_record_has_its_limit",
        in_place_of(validate, "check_size", nothing),
    ),
    plant(
        "any-slots",
        50,
        "one free slot of a host is promised to all who apply",
        "protocol/test_promises.py::test_section_5_a_visa_promises_a_slot_that_nobody_else_is_promised",
        in_place_of(PromiseBook, "check_slots", nothing),
    ),
    plant(
        "known-chain",
        13,
        "a chain that was checked holds with other manifests, too",
        "protocol/test_chains.py::test_with_another_manifest_of_a_zone_a_chain_is_checked_again",
        instead(chains, "_known", _by_name_alone),
    ),
    plant(
        "unchained",
        13,
        "chapters need not follow from each other",
        "protocol/test_custody.py::test_chapters_in_any_other_order_are_no_chain",
        in_place_of(custody, "_check_follows", nothing),
    ),
    plant(
        "changed-on-the-way",
        54,
        "what no transition may change may differ at the end of a term",
        "protocol/test_warrant.py::test_a_zone_cannot_change_on_the_way_what_the_officers_sealed",
        in_place_of(custody, "check_constant", nothing),
    ),
    plant(
        "travels-anywhere",
        0,
        "a compartment goes where it may not reside",
        "protocol/test_admission.py::test_section_5_a_compartment_that_may_not_reside_there_stays_with_its_source",
        in_place_of(admission, "may_travel", lambda *_: True),
    ),
    plant(
        "leaves-early",
        26,
        "a round is left before its time",
        "protocol/test_decree_phases.py::test_a_round_is_not_left_before_its_time",
        in_place_of(decree, "round_timeout_ms", lambda _round: 0),
    ),
    plant(
        "never-behind",
        0,
        "an anchor that missed decisions does not ask for what led to them",
        "protocol/test_applying.py::test_section_3_who_adopted_a_genesis_without_its_officers_seals_is_behind",
        in_place_of(applying, "_is_next", lambda *_: True),
    ),
    Plant(
        "locked-judged-again",
        2,
        "a locked value is held against clocks and leases again (rule 6)",
        Schedules("crowded"),
        "P6 live",
        instead(anchor, "check_proposal", _judged_again),
    ),
    plant(
        "earlier-head",
        0,
        "a head of an earlier slot ends a round change",
        "protocol/test_rounds.py::test_a_liar_cannot_end_a_round_change_with_a_decision_that_is_none",
        in_place_of(RoundChange, "_settles", lambda *_: True),
    ),
    plant(
        "any-host-admits",
        0,
        "the admitted record is not compared with the one that follows",
        "protocol/test_admission.py::test_section_5_the_admitted_record_is_determined_by_the_departure",
        _of_kind(TransitionKind.ADMIT, lambda right: _forgiving(right, ("bad-change",))),
    ),
)
