"""Skeletons: two labels look alike if and only if their skeletons are equal.

UTS #39, section 4 (revision 30 and later), internalSkeleton: NFD, without the code points that are
usually invisible, each code point replaced by its prototype, NFD again. bidiSkeleton, which first
puts the text into the order in which it is displayed, is not used: the profile `username` keeps
every label in one direction (RFC 5893), and the other profiles know no right-to-left text or do
not claim to tell look-alikes in it.

A skeleton is for comparing and never for showing: it mixes scripts. The prototypes are those of
the pinned `confusables.txt`, nothing added: `1`, `I` and `|` are `l`; `0` is a capital `O`, so that
it looks like `o` in no label that is lower case; `m` is `rn`.
"""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache

from namestore.core.limits import LABEL_BYTES_MAX
from namestore.policy.tables import properties, prototypes

# A label may be given in a longer form than its canonical one: in wide letters, or decomposed.
ORIGINAL_BYTES_MAX = 3 * LABEL_BYTES_MAX

# A skeleton is never longer than this many times its text: the longest prototypes replace three
# bytes by 33. Whoever stores skeletons can rely on the bound.
SKELETON_GROWTH_MAX = 12
SKELETON_BYTES_MAX = ORIGINAL_BYTES_MAX * SKELETON_GROWTH_MAX


def skeleton(text: str) -> str:
    """What `text` looks like; equal for texts that look alike. May be empty: nothing is visible."""
    if text.isascii():
        for char, prototype in _ascii_replacements():
            if char in text:
                text = text.replace(char, prototype)
        return text
    return _wide_skeleton(text)


@lru_cache(maxsize=4096)
def units(text: str) -> str:
    """The skeleton of each character of `text` by itself, each with a NUL behind it.

    A pattern that is matched on it can tell where a character ends: `m` looks like `rn`, but no
    part of it looks like `n`.
    """
    parts = [skeleton(char) for char in text]
    return "".join(f"{part}\0" for part in parts if part)


@lru_cache(maxsize=4096)
def _wide_skeleton(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFD", decomposed.translate(_replacements()))


@cache
def _replacements() -> dict[int, str]:
    """By code point; a usually invisible one is replaced by nothing."""
    found = {ord(char): prototype for char, prototype in prototypes().items()}
    for first, last in properties().ignorable_runs:
        found |= dict.fromkeys(range(first, last + 1), "")
    return found


@cache
def _ascii_replacements() -> tuple[tuple[str, str], ...]:
    # One after the other is as good as all at once, since no prototype is itself replaced.
    found = ((char, prototype) for char, prototype in prototypes().items() if char.isascii())
    return tuple(found)
