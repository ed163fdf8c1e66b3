"""The pure core: values in, values out.

What belongs here: every rule of the protocol, the six fields, policy, and the machines that decide.
What does not: I/O, clocks, randomness, sockets, threads, files. Time and entropy arrive inside events;
signatures and writes leave as effects. The linter holds this line (`.importlinter`).
"""
