"""Lengths of time as people type them: 90, 90s, 15m, 2h, 7d."""

from __future__ import annotations

import re
from typing import Any, Final

import click

_UNITS_S: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")


class Duration(click.FloatRange):
    """Seconds, or a number with s, m, h or d."""

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number of seconds."""
        found = _DURATION.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is no length of time; write 90, 90s, 15m, 2h or 7d.", param, ctx)
        seconds = float(super().convert(float(found[1]), param, ctx))
        return seconds * _UNITS_S[found[2]]
