"""The host: the process that runs agents in a zone, under leases.

What belongs here: proposing transitions for the agents it is bound to, heartbeats, envelopes, binding, admitting,
departing. What does not: how an agent's code is run and replayed (`runtime`), any rule of the protocol (`core`).
A host keeps nothing on disk but its key: what is final is with the anchors, what is not is lost with it, by
design (protocol §6).

    process     folder ─► transport, substrate, host ─► signal
    server      work in, a run for each agent it is bound to; sleepers woken
    binding     who is bound: the newest head, and the next binding by rank;  leases  heartbeats
    run         one agent's time here;  custody  what it proposes;  travel  moves
    inbox       its messages;  outbox  its letters to other agents, until they are kept where those are
    outlook     what this host offers, what it knows of other places, how an agent judges them
    blocks      memory at hand;  signer  one signature for many transitions;  folder, offer, provider  its files
    queues      what holds up steps until the offer's limits let them begin
"""
