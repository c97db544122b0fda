"""Writes the table of scripts and invisible characters that `namestore.policy` carries.

    python tools/unicode_properties.py PPUCD > namestore/policy/data/properties.txt

PPUCD is `icu/source/data/unidata/ppucd.txt` of an ICU release: the Unicode Character Database in
one file. To be run when the pinned Unicode version changes; docs/decisions says what else changes
then. The table holds, for every code point that has one, its Script_Extensions (UAX #24) and
whether it is Default_Ignorable_Code_Point.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

HEAD = """\
# Script_Extensions and Default_Ignorable_Code_Point of Unicode {version}.
# Derived from ppucd.txt of ICU by tools/unicode_properties.py. This is a modified form of data
# files that are © Unicode, Inc.; see LICENSE-UNICODE.txt.
# Version: {version}
"""
CODE_POINTS = 0x110000


def main() -> None:
    """Reads the file named on the command line; writes to standard output."""
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    version = next(line.split(";")[1] for line in lines if line.startswith("ucd;"))
    scripts, ignorable = properties(lines)
    print(HEAD.format(version=version), end="")
    print("\n# script; its name")
    used = {code for codes in scripts if codes for code in codes.split()}
    for line in lines:
        match line.split(";"):
            case ["value", "sc", code, name, *_] if code in used:
                print(f"{code}; {name.replace('_', ' ')}")
    print("\n# code points; Script_Extensions")
    for first, last, codes in runs(scripts):
        print(f"{_span(first, last)}; {codes}")
    print("\n# code points; Default_Ignorable_Code_Point")
    for first, last, _ in runs(["DI" if flag else "" for flag in ignorable]):
        print(f"{_span(first, last)}; DI")


def properties(lines: Iterable[str]) -> tuple[list[str], list[bool]]:
    """Script_Extensions (empty: unassigned) and Default_Ignorable_Code_Point by code point."""
    scripts = [""] * CODE_POINTS
    ignorable = [False] * CODE_POINTS
    block: list[str] = []
    for line in lines:
        kind, _, rest = line.partition(";")
        if kind not in {"block", "cp", "unassigned"}:
            continue
        span, *values = rest.split(";")
        first, _, last = span.partition("..")
        if kind == "block":  # speaks for those of its code points that get no line of their own
            block = values
        elif kind == "cp":
            values = block + values
        script, is_ignorable = _read(values)
        for code_point in range(int(first, 16), int(last or first, 16) + 1):
            scripts[code_point] = script
            ignorable[code_point] = is_ignorable
    return scripts, ignorable


def runs(values: Iterable[str]) -> Iterator[tuple[int, int, str]]:
    """First, last and value of each run of equal values that are not empty."""
    start, current = 0, ""
    for position, value in enumerate([*values, ""]):
        if value == current:
            continue
        if current:
            yield start, position - 1, current
        start, current = position, value


def _read(values: list[str]) -> tuple[str, bool]:
    script, extensions, is_ignorable = "Zzzz", "", False
    for value in values:
        if value.startswith("sc="):
            script, extensions = value[3:], ""
        elif value.startswith("scx="):
            extensions = value[4:].replace("<script>", "")  # "<script>": as sc says, after all
        elif value in {"DI", "-DI"}:
            is_ignorable = value == "DI"
    return ("" if script == "Zzzz" else extensions or script), is_ignorable


def _span(first: int, last: int) -> str:
    return f"{first:04X}" if first == last else f"{first:04X}..{last:04X}"


if __name__ == "__main__":
    main()
