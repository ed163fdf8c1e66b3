"""Both adapters of the transport port, held to the same tests."""

from sojourn.core.base.keys import KeyPair
from sojourn.runtime.transport import PeerIdentity, WireLimits
from sojourn.transports.loopback import LoopbackNetwork, LoopbackTransport
from sojourn.transports.tls import TlsTransport
from tests.conformance.transport import MakeTransport, TransportConformance


class TestTls(TransportConformance):
    def make(self) -> MakeTransport:
        def make(keys: KeyPair, name: str, limits: WireLimits) -> TlsTransport:
            return TlsTransport(keys.seed, name, limits)

        return make


class TestLoopback(TransportConformance):
    def make(self) -> MakeTransport:
        network = LoopbackNetwork()

        def make(keys: KeyPair, name: str, limits: WireLimits) -> LoopbackTransport:
            return LoopbackTransport(network, PeerIdentity(keys.public, name), limits)

        return make
