"""What agents run on, what processes share, and the ports of both.

    host_side      the custodian's side of an execution: the journal, the order of the gate
        ▲ questions, frames: the same whether a thread or a process lies between
    agent_side     what stands beside the agent's code: its context, its steps, its memory
    clients        a zone as its clients see it, by quorum
    processes      clocks, files, keys and locks of any process

Here stand the words that all of them speak: `records` of the journal, `questions` and `frames` between the two
sides, `errors` and how they are kept (`failures`), values as builtins (`typed`), and the ports `ports`, `store`,
`transport` and `share_keep`. `agent_side.session` and `host_side.execution` are where to begin reading.

What belongs here: code that any substrate, store, transport or host needs, and that knows none of them.
What does not: adapters (`substrates`, `stores`, `transports`), processes (`host`, `anchor`), rules (`core`).
"""
