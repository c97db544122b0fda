"""namestore: a replicated registry of unique names.

from namestore import NameStore

with NameStore("127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103") as names:
    if not names.register("user:alice", owner="account-17"):
        print("taken")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from namestore import errors

if TYPE_CHECKING:
    from namestore.client.blocking import NameStore

__version__ = "0.1.0"

__all__ = ["NameStore", "__version__", "errors"]


def __getattr__(name: str) -> Any:
    """Loads the client when it is first asked for: a server or a tool need not pay for gRPC's."""
    if name == "NameStore":
        from namestore.client.blocking import NameStore

        return NameStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
