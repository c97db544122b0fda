"""namestore beside its alternatives: `python -m benchmarks --help`, or `make bench`."""
