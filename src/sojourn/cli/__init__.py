"""The command line: the only place that reads settings and wires everything.

What belongs here: one module for each noun (`zone`, `agent`, …) with its commands, thin; beside them, named by
what they do, what these commands need: folders, keys, the address book, starting processes, asking anchors.
What does not: any rule of the protocol, any format that another machine reads (`core`), any process's own work
(`anchor`, `host`). Modules of commands import what is heavy inside the command: `--help` must be quick.
"""

from sojourn.cli.root import main

__all__ = ["main"]
