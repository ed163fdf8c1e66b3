"""Rehearsals: one agent and all that descend from it, by themselves in virtual time, without anchors or a wire.

    rehearsing ─► agent ─► family ─► custody (what is final of each), keys, mail, people, places, rules
    surviving: the same rehearsal again and again, killed or moved at each of its points

Executions are production's own; what stands in for a zone is what a rehearsal says of it. What belongs here: that,
and what tests say to an agent and expect of it. What does not: whole zones, which `sojourn.testing.world` simulates.
"""
