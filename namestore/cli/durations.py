"""Lengths of time as people type them: 90, 90s, 15m, 2h, 7d."""

from __future__ import annotations

import re
from typing import Any, Final

import click

_UNITS_S: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")


class Duration(click.ParamType[float]):
    """Seconds, or a number with s, m, h or d."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number of seconds."""
        if isinstance(value, float):
            return value
        found = _DURATION.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is no length of time; write 90, 90s, 15m, 2h or 7d.", param, ctx)
        return float(found[1]) * _UNITS_S[found[2]]
