"""Schedules: the protocol's machines alone, in simulated time, one seed at a time, many thousand an hour.

Anchors here are rulings, duties and leases; hosts are proposers and leases: the same functions and machines that
run in production (`sojourn.core.protocol`), without event loops, sockets or SQLite around them. What stands around
them in production, a schedule simulates: clocks that drift and jump, a network that delays, drops, repeats,
reorders and cuts, disks that forget what was not forced, processes that crash, pause and come back, and liars.
"""
