"""What agents run on, what processes share, and the ports of both.

    authors' surface   agent steps context turns sagas compartments errors
    agent's side       serving session run loop operations performing attempting course replay batch arguments
    the line           frames link
    host's side        execution proposing journal holdings entrusting relaying
    at once            fanning queueing turnstile
    other agents       sending following posting letters handling spawning
    time               timers timing cron durations conditions sought seeking waits
    the journal        records typed models failures
    agents' code       code
    ports              ports store transport
    processes share    clock drive files keyfile pidfile process secrecy zone_client

An agent's side runs `run` and performs its steps; the host's side has its journal and keeps the order of the
gate. They speak in frames, the same whether a thread or a process lies between them. `session` and
`execution` are where to begin reading.

What belongs here: code that any substrate, store, transport or host needs, and that knows none of them.
What does not: adapters (`substrates`, `stores`, `transports`), processes (`host`, `anchor`), rules (`core`).
"""
