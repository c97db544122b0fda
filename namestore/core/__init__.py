"""What the service means: names, commands, records and the state machine that decides them.

Pure and deterministic: no input or output, no clock, no thread, no randomness. Every replica that
applies the same entries to the same state reaches the same state, byte for byte.
"""
