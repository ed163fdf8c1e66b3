"""An agent's source, read for what a replay could not repeat. Nothing of it is imported or run.

    the door       source_check
    what is found  findings allowing
    what is read   sources scopes referents meaning reach
    what to find   hazards using order shared steps catching turns

`reach` follows the code that is replayed, from `run` on, through the agent's own functions; `meaning` says what an
expression stands for there, as far as that is certain; each of the last line looks for one kind of fault.

What belongs here: a function of source text, and nothing that is no more than likely: what cannot be told is passed
over. What does not: files, the agent's runtime, and rules that a running agent is held to anyway.
"""
