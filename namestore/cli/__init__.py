"""`namestore-cli`: the registry from a shell.

Responsible for options, output and exit codes. What a name means, how a node is found and what may
be retried are decided by `namestore.NameStore`, which every command calls through the `Store` seam.
Standard output carries results only; everything said to a person about them goes to standard error.
"""
