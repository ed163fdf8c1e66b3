"""The demo as a run of the product: zones brought up, a schedule played, evidence gathered.

What belongs here: steering real processes for `sojourn demo` and the tests that run it. What does not: the
workload, the places, the schedule and the report (`sojourn.demo`), which know nothing of processes.
"""
