"""The sans-I/O machines: what an anchor decides, and how hosts and anchors drive a decision.

What belongs here: protocol §3 (decree), §4 (validate), §5 (migration), §6 (binding), §11 (gossip), and the
messages they exchange. What does not: sockets, stores, clocks, keys; time arrives in events, signatures and
writes leave as effects, to be performed in the order persist, then send, then run.
"""
