"""The two forms in which labels are compared without regard to case, or to punctuation as well.

Neither is shown or stored as a name. What is folded or squeezed once more stays as it is.
"""

from __future__ import annotations

import re
import unicodedata

_PUNCTUATION = re.compile(r"[-_.]+")


def fold(text: str) -> str:
    """`text` without regard to case (Unicode's canonical caseless matching), in NFC."""
    if text.isascii():
        return text.lower()
    # Decomposed first, or U+0345, which folds to a letter, would fold in the wrong place (D145).
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def squeeze(text: str) -> str:
    """`text` without regard to case and to `-`, `_` and `.`."""
    return fold(without_punctuation(text))


def without_punctuation(text: str) -> str:
    """`text` without `-`, `_` and `.`; of nothing but those, one `-`."""
    return _PUNCTUATION.sub("", text) or "-"
