"""Where agents' code runs: adapters of `runtime.ports.Substrate`.

What belongs here: how a process or a thread for an agent is made, reached and ended. What does not: what is
said on the line to it (`runtime.frames`), what an agent may do (`core.policy`, `runtime.host_side.execution`).
"""
