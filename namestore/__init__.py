"""namestore: a replicated registry of unique names."""

__version__ = "0.1.0"
