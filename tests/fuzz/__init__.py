"""Fuzzing: every decoder of what comes from outside, and the wire of a real anchor.

targets       each decoder with what must hold of it, for whatever bytes
seeds         where the search begins: golden files, and samples of what has none
sites         every place in the source that decodes, and the target that covers it
byte_level    atheris (libFuzzer with coverage feedback) in a process of its own; `runs` starts it
shapes        hypothesis: values of a type, their parts exchanged, their bytes written wrongly
wire          a real anchor behind TLS, and what strangers send it
canaries      bugs to plant: whatever does not find its own is no fuzzer

What belongs here: input that nobody thought of. What somebody thought of stands with the unit tests, the golden
files and `tests/system/test_wire.py`; so does every case that was found here, once it is mended.
"""
