"""namestore for asyncio: `NameStore` as in `namestore`, with every call awaited."""

from namestore.client.asynchronous import NameStore

__all__ = ["NameStore"]
