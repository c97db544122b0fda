"""What applications import: one logic, two flavours, several networks.

`operations` says what each call means, `session` how it is carried through (endpoints, retries,
deadlines), both as generators that perform no input or output. `drivers` carries their effects
out, blocking or on an event loop, over a `network`. `blocking` and `asynchronous` are the faces.
"""
