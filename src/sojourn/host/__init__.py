"""The host: the process that runs agents in a zone, under leases.

What belongs here: proposing transitions for the agents it is bound to, heartbeats, envelopes, binding, admitting,
departing. What does not: how an agent's code is run and replayed (`runtime`), any rule of the protocol (`core`).
A host keeps nothing on disk but its key: what is final is with the anchors, what is not is lost with it, by
design (protocol §6).
"""
