"""Quorum arithmetic: committees, slots, votes, tallies, certificates. A leaf package.

What belongs here: counting signed votes, and what a quorum of them proves.
What does not: what the votes are about (agents, zones), and when to cast one (`core.protocol`).
"""
