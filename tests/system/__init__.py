"""Whole zones as real processes, started, killed and lied to.

What belongs here: tests of what the product promises when processes die and peers lie, and the agents and
grounds they share. What does not: anything that one module's own tests can show.
"""
