"""What agents run on: their context, steps and journal, the gate's order, and the ports of the processes.

    agent.py steps.py context.py turns.py        what authors write against
    session.py operations.py replay.py loop.py   the agent's side: runs `run`, executes steps, replays
    messages.py link.py                          the line between the two sides; one, whatever the substrate
    execution.py journal.py                      the host's side: batches, the gate's order, the lease
    ports.py store.py transport.py               what adapters implement
    records.py                                   the journal's records, and where a resume begins

What belongs here: code that any substrate, store, transport or host needs, and that knows none of them.
What does not: adapters (`substrates`, `stores`, `transports`), processes (`host`, `anchor`), rules (`core`).
"""
