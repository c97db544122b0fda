"""Which writing systems a label is written in, and which may stand together in one.

UTS #39, section 5: a label is of a single script, or it mixes Latin with the scripts of Chinese,
Japanese or Korean, which people do ("highly restrictive"). What belongs to no script in
particular, such as digits, stands with all. Letters of different scripts that look alike can then
not be mixed in one word; whole words of another script are told by their skeletons.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache, lru_cache
from typing import NamedTuple

from namestore.policy.tables import properties

ANY_SCRIPT = -1  # all bits: Common and Inherited
_EVERYWHERE = {"Zyyy", "Zinh"}

# UTS #39, 5.1: what is written in one of these is written in the systems that use it as well.
_SYSTEMS = {
    "Hani": ("Hanb", "Jpan", "Kore"),
    "Hira": ("Jpan",),
    "Kana": ("Jpan",),
    "Hang": ("Kore",),
    "Bopo": ("Hanb",),
}
_WITH_LATIN = ("Jpan", "Hanb", "Kore")


class _Scripts(NamedTuple):
    """Sets of scripts are the bits of a number; a code point without a script has none set."""

    bits: dict[str, int]
    starts: list[int]
    ends: list[int]
    masks: list[int]


def mixes_scripts(text: str) -> bool:
    """`text` is written in scripts that do not belong together."""
    if text.isascii():
        return False
    masks = [script_mask(char) for char in text]
    if _covered(masks):
        return False
    bits = _scripts().bits
    return not any(_covered(masks, bits["Latn"] | bits[system]) for system in _WITH_LATIN)


def script_name(char: str) -> str:
    """The name of a character's script, such as "Cyrillic"; of several, the first."""
    scripts, mask = _scripts(), script_mask(char)
    if mask == ANY_SCRIPT:
        return "Common"
    names = properties().script_names
    found = (names[code] for code, bit in scripts.bits.items() if mask & bit and code in names)
    return next(found, "no script")


@lru_cache(maxsize=8192)
def script_mask(char: str) -> int:
    """The scripts and writing systems of a character, one bit for each; -1: all of them."""
    scripts = _scripts()
    code_point = ord(char)
    place = bisect_right(scripts.starts, code_point) - 1
    if place < 0 or code_point > scripts.ends[place]:
        return 0
    return scripts.masks[place]


def _covered(masks: list[int], allowed: int | None = None) -> bool:
    """One script has all the characters; or, if `allowed` is given, each is of one allowed."""
    if allowed is not None:
        return all(mask & allowed for mask in masks)
    common = ANY_SCRIPT
    for mask in masks:
        common &= mask
    return bool(common)


@cache
def _scripts() -> _Scripts:
    runs = properties().script_runs
    codes = sorted({code for _, _, run in runs for code in run} - _EVERYWHERE)
    codes += sorted({system for systems in _SYSTEMS.values() for system in systems})
    bits = {code: 1 << position for position, code in enumerate(codes)}
    starts, ends, masks = [], [], []
    for first, last, run in runs:
        mask = 0
        for code in run:
            mask |= ANY_SCRIPT if code in _EVERYWHERE else bits[code]
            for system in _SYSTEMS.get(code, ()):
                mask |= bits[system]
        starts.append(first)
        ends.append(last)
        masks.append(mask)
    return _Scripts(bits, starts, ends, masks)
