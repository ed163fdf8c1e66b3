"""An agent's memory: the field in the record, and the structures its roots name.

`field` is the part of the record. `mapping` (keys to values) and `log` (values in order) are the
two forms of a compartment, both made of `blocks`; `values` says how one value is kept, and `chunks`
how a large one is cut; `blobs` are values that are written and read piece by piece. `trie` is the
shape of a mapping, `parts` its blocks, `change` one change; `log_parts` are the blocks of a log, and
what a trim leaves of them, `proofs` what can be proved of one. `vectors` are compared exactly.

What belongs here: what the bytes of a memory mean and how a change makes new ones. What does not:
where blocks are stored and how they travel (`stores`, `runtime`), what an agent author sees
(`runtime`).
"""
