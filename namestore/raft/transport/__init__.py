"""How nodes speak to each other: connections, greetings, frames and the table of messages.

`tcp.TcpTransport` is what the engine drives; `lone.LoneTransport` stands in for it where there is
nobody to speak to. Invariant: a peer proves who it is before any of its bytes reaches the engine.
"""
