"""Crash truth, on real processes and files: killed at every change of a file, cut off from power, bits flipped.

What belongs here: the vehicle that stops a process at each change it makes to a file, the errands it is sent on, what
a disk may hold after a power cut, and the judge of what was answered. What does not: a store by itself
(`tests/unit/stores`), and machines in a simulator.
"""
