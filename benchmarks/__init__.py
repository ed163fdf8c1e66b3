"""What Sojourn costs, measured by one driver, with other engines beside it in the same run.

    python -m benchmarks                    everything; some minutes
    python -m benchmarks --quick            the same with less patience: figures scatter more
    python -m benchmarks --only gate        one or more by name; --list says which there are

First the configuration is printed, then a table for each benchmark, last where the JSON went:
`benchmarks/results/<date>-<commit>.json`, with every single measurement. A figure is the median of several
repetitions, with the lowest and the highest beside it. What had a process fail has no figures, but says why it
failed, and the driver ends with exit code 1.

Everything measured is real: processes, TLS between them, signatures, and a forced write to the disk under
`--folder` before each answer that needs one. Zones are founded for a benchmark and gone after it.

What belongs here: one module for each benchmark, named after what it measures, with a `BENCHMARK` that
`suite.py` lists; beside them what they share: how to measure, the machine, local zones, results. In `peers`,
other engines. What does not: tests of correctness (`tests`), and any code that the product needs.
"""
