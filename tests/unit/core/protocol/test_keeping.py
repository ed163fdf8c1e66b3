"""Shares of keys: who keeps one, who is given one, when it is destroyed, and what states that."""

from collections.abc import Callable, Sequence
from functools import partial

import pytest
from msgspec.structs import replace

from sojourn.core.agent.memory.encryption import Encryption
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.errors import Refused, Rejected, SojournError
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.seals import Kind, Role
from sojourn.core.base.sharing import commit, recover, scalar
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.keeping import (
    AskShare,
    ErasureCertificate,
    KeepShare,
    SignedErasure,
    check_dealt,
    check_may_have,
    destroyed_in,
    keys_to_destroy,
    stated,
)
from sojourn.core.protocol.messages import Declined, Proposal, Propose
from sojourn.core.protocol.ordering import carrying, sealed
from tests.dealt import DRAWN, KEY, SHARES, erasure
from tests.rulings import PureZone, World
from tests.samples import ISSUER, key, seal

MEMORY = Memory(
    compartments={
        "people": Compartment(form=Form.MAPPING, root=bytes(32), encryption=KEY),
        "open": Compartment(form=Form.LOG, root=bytes(32)),
    }
)
BEARER = key("bearer")


def world() -> tuple[World, PureZone]:
    made = World("home", "away")
    return made, made.zones[0]


def keep(zone: PureZone, genesis: Proposal, *indices: int, key: Encryption = KEY) -> None:
    for index in indices:
        zone.anchors[index].shares.dealt[key.key] = genesis.transition.record.agent_id


def launched() -> tuple[World, PureZone, Certified]:
    made, home = world()
    genesis = made.genesis(home, memory=MEMORY)
    keep(home, genesis, 0, 1, 2, 3)
    return made, home, made.bind(home, made.decide(home, genesis))


def erase(
    head: Certified, made: World, *officers: KeyPair, keys: Sequence[bytes] = (KEY.key,)
) -> SignedOrder:
    return erasure(head, made.clock.wall_ms, *officers, keys=tuple(keys))


def carry_out(made: World, home: PureZone, head: Certified, signed: SignedOrder) -> Certified:
    proposal = carrying(signed, head, BEARER, at_ms=made.clock.wall_ms)
    return made.decide(home, proposal, head)


def reason(act: Callable[[], object]) -> str:
    with pytest.raises(SojournError) as caught:
        act()
    error = caught.value
    return error.reason if isinstance(error, Rejected) else str(error)


# Dealing


def test_an_anchor_keeps_its_own_share_of_a_key_that_fits_its_zone() -> None:
    _, home = world()
    manifest, dossier = home.manifest, home.anchors[1].dossier(digest(b"agent"))
    ask = KeepShare(agent=dossier.agent, commitments=KEY.commitments, share=SHARES[1])
    assert KEY == check_dealt(ask, dossier, manifest, 1)
    assert "bad-share" == reason(lambda: check_dealt(ask, dossier, manifest, 2))
    flipped = replace(ask, share=bytes([ask.share[0] ^ 1]) + ask.share[1:])
    assert "bad-share" == reason(lambda: check_dealt(flipped, dossier, manifest, 1))
    alone = replace(ask, commitments=KEY.commitments[:1])
    assert "bad-threshold" == reason(lambda: check_dealt(alone, dossier, manifest, 1))


def test_no_share_is_taken_for_an_agent_that_exists() -> None:
    """Else a share that was destroyed could be put back by whoever dealt it."""
    _, home, head = launched()
    agent = head.record.agent_id
    ask = KeepShare(agent=agent, commitments=KEY.commitments, share=SHARES[0])
    with pytest.raises(Refused, match="exists"):
        check_dealt(ask, home.anchors[0].dossier(agent), home.manifest, 0)


def test_trap_23_an_anchor_votes_for_no_birth_whose_key_it_has_no_share_of() -> None:
    made, home = world()
    genesis = made.genesis(home, memory=MEMORY)
    keep(home, genesis, 0, 1)
    home.give(*genesis.transition.record.governance.documents)
    slot = home.slot(genesis, None)
    for index in (0, 2):
        answer = home.ask(index, Propose(slot=slot, round=0, proposal=genesis))
        assert (index == 2) == isinstance(answer, Declined), index
    assert isinstance(answer, Declined)
    assert answer.for_now
    assert "no share of the key of compartment 'people'" in answer.problem
    keep(home, genesis, 2)
    made.decide(home, genesis)


def test_no_zone_votes_for_a_key_that_too_few_or_too_many_of_its_shares_give() -> None:
    made, home = world()
    for drawn in (DRAWN[:1], [*DRAWN, scalar(b"\x03" * 64)]):
        made_key = Encryption(commitments=commit(drawn))
        memory = Memory(
            compartments={"p": Compartment(form=Form.LOG, root=bytes(32), encryption=made_key)}
        )
        genesis = made.genesis(home, memory=memory)
        keep(home, genesis, 0, 1, 2, 3, key=made_key)
        home.give(*genesis.transition.record.governance.documents)
        ask = Propose(slot=home.slot(genesis, None), round=0, proposal=genesis)
        answer = home.ask(0, ask)
        assert isinstance(answer, Declined)
        assert "bad-threshold" == answer.reason


# Giving


def ask_share(
    home: PureZone, head: Certified, sender: bytes, named: bytes = KEY.key, index: int = 0
) -> Encryption:
    anchor = home.anchors[index]
    ask = AskShare(agent=head.record.agent_id, key=named)
    return check_may_have(ask, anchor.dossier(ask.agent), sender, anchor.view())


def test_the_bound_host_has_the_share_under_its_lease_and_nobody_else() -> None:
    made, home, head = launched()
    host, rival = (pair.public for pair in home.hosts[:2])
    assert KEY == ask_share(home, head, host)
    with pytest.raises(Refused, match="not the bound host"):
        ask_share(home, head, rival)
    with pytest.raises(Refused, match="no compartment that is here"):
        ask_share(home, head, host, digest(b"another"))
    with pytest.raises(Refused, match="not here"):
        ask_share(made.zones[1], head, host)
    made.clock.pass_ms(10 * home.manifest.lease_ms)
    with pytest.raises(Refused, match="no live lease"):
        ask_share(home, head, host)


def test_after_a_takeover_the_new_host_has_it_and_the_old_one_no_more() -> None:
    made, home, head = launched()
    made.clock.pass_ms(10 * home.manifest.lease_ms)
    rebound = made.bind(home, head, host=1)
    assert KEY == ask_share(home, rebound, home.hosts[1].public)
    with pytest.raises(Refused, match="not the bound host"):
        ask_share(home, rebound, home.hosts[0].public)


def test_trap_48_a_key_stays_behind_when_the_agent_leaves_and_is_there_when_it_returns() -> None:
    made, home, head = launched()
    away = made.zones[1]
    there = made.move(home, away, head)
    assert home.zone == there.record.memory.compartments["people"].held_by
    assert there.record.memory.compartments["open"].held_by is None
    with pytest.raises(Refused):
        ask_share(home, head, home.hosts[0].public)
    with pytest.raises(Refused, match="no compartment that is here"):
        ask_share(away, there, away.hosts[0].public)
    back = made.move(away, home, there)
    assert back.record.memory.compartments["people"].held_by is None
    assert KEY == ask_share(home, back, home.hosts[0].public)


def test_any_two_of_four_shares_give_the_key_that_was_dealt() -> None:
    assert DRAWN[0] == recover({2: SHARES[1], 4: SHARES[3]}, KEY.commitments)


# Destroying


def test_an_erasure_is_carried_out_by_order_and_the_key_is_given_to_nobody() -> None:
    made, home, head = launched()
    signed, anchor = erase(head, made), home.anchors[0]
    with pytest.raises(Refused, match="has not had it carried out"):
        keys_to_destroy(signed, anchor.dossier(head.record.agent_id), anchor.view())
    after = carry_out(made, home, head, signed)
    assert {KEY.key} == destroyed_in(after.record)
    assert not destroyed_in(head.record)
    dossier = anchor.dossier(head.record.agent_id)
    assert (KEY.key,) == keys_to_destroy(signed, dossier, anchor.view())
    home.renew(after)
    with pytest.raises(Refused, match="erased by order"):
        ask_share(home, after, home.hosts[0].public)


def test_officers_alone_erase() -> None:
    made, home, head = launched()
    proposal = carrying(erase(head, made, key("eve")), head, BEARER, at_ms=made.clock.wall_ms)
    ask = Propose(slot=home.slot(proposal, head), round=0, proposal=proposal)
    answers = home.ask_all(ask)
    assert all(isinstance(answer, Declined) and not answer.for_now for answer in answers)


def test_where_the_agent_was_its_officers_order_is_enough() -> None:
    made, home, head = launched()
    made.move(home, made.zones[1], head)
    anchor, agent = home.anchors[0], head.record.agent_id
    signed = erase(head, made)
    assert (KEY.key,) == keys_to_destroy(signed, anchor.dossier(agent), anchor.view())
    for wrong, why in (
        (erase(head, made, key("eve")), "wrong-key"),
        (erase(head, made, keys=(digest(b"another"),)), "wrong-key"),
    ):
        asked = partial(keys_to_destroy, wrong, anchor.dossier(agent), anchor.view())
        assert why == reason(asked)
    made.clock.pass_ms(61_000)
    with pytest.raises(Rejected, match="it holds from"):
        keys_to_destroy(signed, anchor.dossier(agent), anchor.view())


def test_of_an_agent_that_has_ended_too() -> None:
    made, home, head = launched()
    now_ms = made.clock.wall_ms
    retire = Order(
        agent=head.record.agent_id, act=Act.RETIRE, issued_ms=now_ms, expires_ms=now_ms + 1_000
    )
    carry_out(made, home, head, sealed(retire, [ISSUER]))
    made.clock.pass_ms(10)
    anchor = home.anchors[0]
    dossier = anchor.dossier(head.record.agent_id)
    assert (KEY.key,) == keys_to_destroy(erase(head, made), dossier, anchor.view())


def test_of_an_agent_that_nobody_knows_nothing_is_destroyed() -> None:
    made, _, head = launched()
    stranger = made.zones[1].anchors[0]
    with pytest.raises(Refused, match="not known"):
        keys_to_destroy(erase(head, made), stranger.dossier(head.record.agent_id), stranger.view())


# The certificate


def statement_of(home: PureZone, signed: SignedOrder, index: int) -> SignedErasure:
    erasure = stated(signed, home.manifest, index)
    by = home.sample.identity(index)
    return SignedErasure(
        erasure=erasure, seal=seal(by, Kind.ERASURE, Role.ANCHOR, digest_of(erasure))
    )


def certificate(*indices: int) -> ErasureCertificate:
    made, home, head = launched()
    signed = erase(head, made)
    return ErasureCertificate(
        order=signed,
        manifest=home.sample.signed,
        statements=tuple(statement_of(home, signed, index) for index in indices),
    )


def test_a_certificate_holds_by_a_quorum_and_is_complete_by_all() -> None:
    for indices, is_complete in (((0, 1, 3), False), ((0, 1, 2, 3), True)):
        made = certificate(*indices)
        made.check()
        assert is_complete == made.is_complete
        again = decode(encode(made), ErasureCertificate, what="certificate", limit=2**20)
        assert made == again


def test_a_certificate_that_does_not_hold() -> None:
    good = certificate(0, 1, 2)
    first, second, third = good.statements
    other = replace(first, erasure=replace(first.erasure, keys=(digest(b"another"),)))
    retired = replace(good.order.order, act=Act.RETIRE, keys=())
    for wrong, expected in (
        (replace(good, statements=(first, second)), "no-quorum"),
        (replace(good, statements=(first, first, second)), "wrong-order"),
        (replace(good, statements=(first, third, second)), "wrong-order"),
        (replace(good, statements=(other, second, third)), "wrong-erasure"),
        (replace(good, statements=(replace(first, seal=second.seal), second, third)), "wrong-key"),
        (replace(good, order=replace(good.order, order=retired)), "wrong-kind"),
        (
            replace(good, order=replace(good.order, seals=(first.seal,))),
            "bad-signature",
        ),
    ):
        assert expected == reason(wrong.check), expected


def test_a_statement_of_one_thing_is_none_of_another() -> None:
    """Trap 11: the seal names its kind and its role."""
    good = certificate(0, 1, 2)
    erasure = good.statements[0].erasure
    by = World("home").zones[0].sample.identity(0)
    for kind, role in ((Kind.VOTE, Role.ANCHOR), (Kind.ERASURE, Role.OPERATOR)):
        forged = SignedErasure(erasure=erasure, seal=seal(by, kind, role, digest_of(erasure)))
        wrong = replace(good, statements=(forged, *good.statements[1:]))
        assert "bad-signature" == reason(wrong.check)


def test_an_anchor_that_is_none_states_nothing() -> None:
    good = certificate(0, 1, 2)
    beyond = replace(good.statements[2].erasure, anchor=4)
    forged = replace(good.statements[2], erasure=beyond)
    wrong = replace(good, statements=(*good.statements[:2], forged))
    assert "wrong-anchor" == reason(wrong.check)
