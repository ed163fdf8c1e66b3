"""Zones as values: manifests, envelopes, admission rules, and the agent's assessment of a place.

What belongs here: what a zone and its hosts state about themselves, signed, and how it is judged.
What does not: votes about agents (`core.protocol`), the agent's own fields (`core.agent`).
"""
