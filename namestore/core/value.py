"""Values of the core: compared by content, never changed, and cheap to make.

Invariant: nobody assigns to a field of a value. The type checker refuses it; the interpreter is not
asked to, because a frozen dataclass takes several times as long to make, and a name on its way
through a node is several values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def value(cls: type[_T]) -> type[_T]:
    """Makes a dataclass with slots that is frozen for the type checker, and can be hashed."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
