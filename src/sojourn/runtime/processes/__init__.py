"""What any process needs of its machine: clocks, files, keys, locks, and memory that is let go of.

What belongs here: I/O that anchors, hosts and commands do alike. What does not: anything of the protocol.
"""
