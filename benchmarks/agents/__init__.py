"""The agents that benchmarks run: ordinary agents, which also note when they did what.

They write their notes to a folder that their memory names. That is no effect that the gate knows of, and works
only for trusted code on the machine of the benchmark: never do it in an agent of your own.
"""
