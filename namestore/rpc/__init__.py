"""Between the wire and the core: conversions, and errors <-> status."""
