"""The anchor: one voter of a zone, as a process.

What belongs here: wiring of the core's rulings to a store, a transport, clocks and keys, in the order persist,
then send, then run. What does not: any rule of the protocol (`core.protocol`), any agent's code.

    process      folder ─► store, transport, anchor ─► signal
    server       requests in, rulings by the core (one after the other for each agent: `turns`), answers out
    answers      what is answered without a ruling: blocks, the past, messages, work for hosts, status
    scribe       writes and signs, in groups
    shelf, mail  dossiers, chapters, history, orders, places; messages: as rows of the store
    loose        blocks that no record names yet;  tidying  what is let go of, lest strangers fill the store
    collecting   what only old versions of memory name, where no more of them are to be kept
    hosts        who runs agents here, and which agents want whom
    caretaker    what is owed when nobody else acts;  pace  how patient it is
    forwarding   messages for agents that went on;  letters  who sent them, if agents did
    edicts       what officers published;  proofs  which anchors are proved to have lied
    reapplying   what a target has forgotten of an agent that departed for it
    catching_up  what led to decisions that this anchor missed
    gossiping    what places there are;  heralding  what of it is told at once
    watermark    whether this store is older than its own votes
"""
