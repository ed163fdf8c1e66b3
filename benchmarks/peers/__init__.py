"""The same three-step durable workflow on other people's engines, measured in the same way.

Here belong one module per peer, run in a process of its own and using its peer as that peer's
documentation says to, and the measuring that they share. What measures Sojourn does not.
"""
