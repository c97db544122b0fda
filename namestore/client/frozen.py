"""Frozen values, made as fast as others.

A frozen dataclass sets each of its fields by way of a check that it has to get around, which takes
five times as long. One call of an application is two such values; so these are filled in while they
are not frozen yet. Not responsible for what is in them.

Invariant: nobody sees a value before it is frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ParamSpec, TypeVar, cast

Given = ParamSpec("Given")
ValueT = TypeVar("ValueT")


def maker(cls: Callable[Given, ValueT]) -> Callable[Given, ValueT]:
    """What makes values of a frozen dataclass with slots, and is called as the class is.

    Args:
        cls: Without `__post_init__`, base classes and default factories.
    """
    frozen = cast("type[Any]", cls)
    own = fields(frozen)
    body: dict[str, Any] = {"__annotations__": {each.name: each.type for each in own}}
    body |= {e.name: field(default=e.default) for e in own if e.default is not MISSING}
    # Python lets a value change its class where both lay out the same fields in the same order.
    filled_in: Callable[..., Any] = dataclass(slots=True, eq=False, repr=False)(
        type(frozen.__name__, (), body)
    )

    def make(*args: Given.args, **kwargs: Given.kwargs) -> ValueT:
        value = filled_in(*args, **kwargs)
        value.__class__ = frozen
        return cast("ValueT", value)

    return make
