"""The anchor: one voter of a zone, as a process.

What belongs here: wiring of the core's rulings to a store, a transport, clocks and keys, in the order persist,
then send, then run. What does not: any rule of the protocol (`core.protocol`), any agent's code.
"""
