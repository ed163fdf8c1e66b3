"""The host's side of an execution: it has the journal, keeps the order of the gate, and believes no code.

    execution   proposing gating journal flow written newborn entrusting waits following turnstile ending
    encrypted   encrypting cipher
    the past    retracing forked
    queries     consulting

What belongs here: what becomes final of what code does, in which order, whoever the custodian is.
What does not: custody itself, leases and anchors (`host`).
"""
