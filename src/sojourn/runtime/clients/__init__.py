"""A zone as its clients see it: anchors asked side by side, and believed by quorum.

What belongs here: what hosts, anchors of other zones and people ask of a zone, and how it is driven to an outcome.
What does not: what anchors answer (`anchor`), and the bytes on the wire (`transports`).
"""
