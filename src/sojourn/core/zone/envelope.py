"""Host envelopes: the signed, expiring statement of what a host offers at this moment."""

from sojourn.core.agent.capabilities import Offer
from sojourn.core.base.encoding import Count, Digest, PublicKey, Value, decode, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS, ENVELOPE_BYTES_MAX
from sojourn.core.base.merkle import Inclusion
from sojourn.core.base.seals import Kind, Role, Seal, check_seal
from sojourn.core.zone.manifest import ZoneManifest, is_host_of

__all__ = ["Envelope", "SignedEnvelope", "load_envelope"]


class Envelope(Value, tag_field="kind", tag="envelope/1"):
    """What one host of a zone offers, at which price, from when to when.

    `price_micros` is the price now, per hour, in millionths of a dollar; `sequence` rises with every
    statement of this host, so that an older one never displaces a newer one.
    """

    zone: Digest
    host: PublicKey
    membership: Inclusion
    offer: Offer
    price_micros: Count
    sequence: Count
    issued_ms: Count
    expires_ms: Count


class SignedEnvelope(Value, tag_field="kind", tag="signed-envelope/1"):
    """An envelope with its host's seal."""

    envelope: Envelope
    seal: Seal

    def check(self, manifest: ZoneManifest, now_ms: int) -> None:
        """Raise `Rejected` unless an enrolled host of this zone sealed it and it is current."""
        envelope = self.envelope
        if envelope.zone != manifest.zone_id:
            raise Rejected(
                "the envelope is of another zone", reason="wrong-zone", where="envelope.zone"
            )
        if self.seal.signer != envelope.host:
            raise Rejected("sealed by another key", reason="wrong-key", where="envelope.seal")
        if not is_host_of(manifest, envelope.host, envelope.membership):
            problem = "the zone has not enrolled this host"
            raise Rejected(problem, reason="unknown-host", where="envelope.membership")
        if now_ms >= envelope.expires_ms or envelope.issued_ms > now_ms + CLOCK_SKEW_MS:
            raise Rejected(
                "the envelope is not current", reason="expired", where="envelope.expires_ms"
            )
        check_seal(Kind.ENVELOPE, Role.HOST, digest_of(envelope), self.seal, where="envelope.seal")


def load_envelope(data: bytes, manifest: ZoneManifest, now_ms: int) -> SignedEnvelope:
    """Return the verified envelope in `data`. Raises `Rejected`."""
    signed = decode(data, SignedEnvelope, what="envelope", limit=ENVELOPE_BYTES_MAX)
    signed.check(manifest, now_ms)
    return signed
