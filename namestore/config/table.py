"""One TOML table being read key by key: every refusal names the place, the value and the remedy.

Knows nothing of namestore. Invariant: after `finish`, every key that was there has been asked for.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from namestore.config.addresses import split_address
from namestore.errors import ConfigError

_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a table",
}


class Table:
    """A table of a configuration file.

    Args:
        values: As tomllib gave them.
        place: Where it stands, such as "cluster.toml: [raft]"; begins every message.
        directory: What relative paths are taken from.
    """

    def __init__(self, values: Mapping[str, Any], place: str, directory: Path) -> None:
        self._values = values
        self._place = place
        self._directory = directory
        self._asked: list[str] = []

    def refuse(self, key: str, remedy: str) -> NoReturn:
        """Raises ConfigError for what stands at `key`."""
        value = self._values.get(key)
        shown = f" = {_shown(value)}" if key in self._values else ""
        raise ConfigError(f"{self._place} {key}{shown}: {remedy}", field=key)

    def text(self, key: str, default: str | None = None, *, remedy: str = "") -> str:
        """A text without control characters; empty only if that is the default."""
        value = self._get(key, str, default, remedy or "write a text in double quotes")
        text: str = value
        if not text and default is None:
            self.refuse(key, "must not be empty; " + (remedy or "write a text"))
        if any(not char.isprintable() for char in text):
            self.refuse(key, "must not hold control characters")
        return text

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number, low <= number <= high."""
        value: int = self._get(key, int, default, f"write a whole number, {low} to {high}")
        if not low <= value <= high:
            self.refuse(key, f"must be {low} to {high}; the default is {default}")
        return value

    def boolean(self, key: str, default: bool) -> bool:
        """True or false."""
        value: bool = self._get(key, bool, default, "write true or false")
        return value

    def path(self, key: str, remedy: str) -> Path:
        """A path; a relative one is taken from the file's directory."""
        text = self.text(key, remedy=remedy)
        return (self._directory / Path(text).expanduser()).resolve()

    def address(self, key: str, remedy: str) -> str:
        """host:port with a port from 1 to 65535."""
        text = self.text(key, remedy=remedy)
        try:
            _, port = split_address(text)
        except ConfigError:
            self.refuse(key, f"is not host:port; {remedy}")
        if port == 0:
            self.refuse(key, f"has port 0, where nobody could find it; {remedy}")
        return text

    def table(self, key: str) -> Table | None:
        """The table under `key`; None: there is none."""
        if key not in self._values:
            self._asked.append(key)
            return None
        values = self._get(key, dict, None, f"write it as a section: [{key}]")
        return Table(values, f"{self._place} [{key}]", self._directory)

    def tables(self, key: str, remedy: str) -> list[Table]:
        """The list of tables under `key`, in order; at least one."""
        items = self._get(key, list, None, remedy)
        if not items or not all(isinstance(item, dict) for item in items):
            self.refuse(key, remedy)
        return [
            Table(item, f"{self._place} [[{key}]] number {number}", self._directory)
            for number, item in enumerate(items, 1)
        ]

    def finish(self) -> None:
        """Refuses the first key that nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                near = difflib.get_close_matches(key, self._asked, n=1)
                hint = f"did you mean {near[0]}? " if near else ""
                self.refuse(key, f"is not known; {hint}Known here: {', '.join(self._asked)}")

    def _get(self, key: str, kind: type, default: Any, remedy: str) -> Any:
        self._asked.append(key)
        if key not in self._values:
            if default is None:
                self.refuse(key, f"is missing; {remedy}")
            return default
        value = self._values[key]
        # bool is an int to Python; to somebody who writes a configuration it is not.
        if type(value) is not kind:
            self.refuse(key, f"must be {_KINDS[kind]}; {remedy}")
        return value


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{…}"
    if isinstance(value, list):
        return "[…]"
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return shown if len(shown) <= 80 else shown[:77] + "…"
