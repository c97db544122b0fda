"""The systems that are compared: one module each, behind the faces in `interface`."""
