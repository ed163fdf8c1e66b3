"""The agent's side of an execution: what stands beside the author's code, in one process with it.

    authors' surface   agent steps context turns sagas memory handling querying code
    one run            serving session run loop link operations calls course replay batch arguments
    steps              performing attempting functions relaying expecting
    memory             compartments mappings logs blobs recall embedding windows streams
    at once            fanning queueing conditions
    other agents       sending letters enquiring spawning
    people             inquiring progressing
    time               timers timing cron durations seeking
    other code         adopting parting

What belongs here: whatever makes of the author's `run` what can be replayed, moved and ended.
What does not: what is decided about it (`host_side`): nothing here is believed there.
"""
