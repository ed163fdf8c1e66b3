"""The main job: a risk desk that works its way through real cloud regions on real data.

What belongs here: the workload (`risk`, `backtest`), the places and their prices (`places`), the
recorded schedule of what changes (`schedule`), and how a finished run is shown (`report`,
`terminal`). What does not: anything that talks to a zone or knows the protocol (the CLI wires the
two together), and anything that another package needs: only the CLI and an agent's own code import
this one.
"""
