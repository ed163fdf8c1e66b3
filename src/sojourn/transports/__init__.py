"""Adapters of the transport port: framed streams over mutual TLS 1.3, and a loopback for tests.

What belongs here: how bytes reach another process and prove whose they are: frames, certificates,
sockets, keeping connections open. What does not: what a request means, who may send it, and any
rule of the protocol.

    identity    an identity key as an X.509 certificate, and back: no certificate authority
    frames      bytes to frames and back, without I/O
    faults      errors as bytes: how a handler's error reaches its caller
    connection  requests, replies and notices over any byte stream
    tls         the byte stream between processes
    loopback    the byte stream inside one process
    pool        one open connection per peer
"""
