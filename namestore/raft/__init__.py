"""How the replicas agree: the hardened engine over PySyncObj, its transport, and `Replica`."""
