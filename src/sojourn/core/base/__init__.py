"""The ground everything stands on: encoding, digests, keys, seals, limits, errors.

What belongs here: code that knows bytes and nothing of agents, zones or votes.
What does not: any word of `core.agent`, `core.zone` or `core.protocol`.
"""
