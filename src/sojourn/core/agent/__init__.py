"""The agent as a value: its record, the six fields, and what may change between two versions.

What belongs here: one module per field, each with its rules of change and its check; the record; the
transition and the change table (protocol §2). What does not: zones (`core.zone`), votes, machines.
"""
