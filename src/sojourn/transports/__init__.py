"""Adapters of the transport port: framed streams over mutual TLS 1.3, and a loopback for tests.

What belongs here: how bytes reach another process and prove whose they are: frames, certificates,
sockets, keeping connections open. What does not: what a request means, who may send it, and any
rule of the protocol.

    tls         the transport between processes; its listener
    tls_stream  one socket under TLS
    loopback    the transport inside one process
    pool        one open connection per peer
    ----------
    connection  requests, replies and notices over any byte stream
    served      the connections of one listener
    calls       the calls of one connection that have no answer yet
    writer      frames on their way out
    frames      bytes to frames and back, without I/O
    faults      errors to bytes and back: how a handler's error reaches its caller
    identity    an identity key as an X.509 certificate, and back
"""
