"""Words nobody may register, with wildcards, found in labels that are or look like them.

A word is compared without regard to case, with the canonical label and with its skeleton, and the
squeezed label where the policy squeezes (a word with both wildcards and punctuation is not: its
punctuation is meant). `*` stands for any characters or none and `?` for one;
what they stand for ends where a character ends, in skeletons too: `*n` does not fit `adam`, though
`m` looks like `rn`.

Words without wildcards cost one look-up however many there are. Words that begin with a wildcard
are tried on every label: they are the ones to be sparing with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from namestore.errors import InvalidRequest
from namestore.policy.folding import fold, squeeze, without_punctuation
from namestore.policy.skeletons import skeleton, units

_WILDCARD = re.compile(r"([*?])")
_PUNCTUATION = re.compile(r"[-_.]")


class Hit(NamedTuple):
    """The word that a label met.

    Attributes:
        word: As the policy writes it.
        looks_only: The label is not that word; it looks like it.
    """

    word: str
    looks_only: bool


class Reserved:
    """The words of one policy, made ready. Immutable; safe to use from any thread."""

    def __init__(self, words: Iterable[str], squeezes: bool) -> None:
        """Prepares the words.

        Args:
            words: As written, wildcards included.
            squeezes: Labels are also met squeezed.

        Raises:
            InvalidRequest: A word that would refuse every label, or none.
        """
        words = tuple(words)
        for word in words:
            _check(word)
        self._empty = not words
        self._squeezes = squeezes
        self._plain = _Lane(words, fold, _plain_pattern)
        self._looks = _Lane(words, _folded_skeleton, _unit_pattern)
        squeezed = [word for word in words if _may_be_squeezed(word)] if squeezes else ()
        self._squeezed = _Lane(squeezed, squeeze, _squeezed_pattern)
        self._squeezed_looks = _Lane(squeezed, _squeezed_skeleton, _squeezed_unit_pattern)

    def find(self, canonical: str, original: str) -> Hit | None:
        """The word that a label is, or looks like; None: it is free of them.

        Args:
            canonical: Its canonical form.
            original: As it was given. It may look like another word: the capital I of `Iogin`.
        """
        if self._empty:
            return None
        folded = fold(canonical)
        if word := self._plain.find(folded) or self._in_squeezed(canonical):
            return Hit(word, looks_only=False)
        word = self._looks.find_looks(folded) or self._in_squeezed_looks(squeeze(canonical))
        if word is None and original != folded:
            word = self._looks.find_looks(original)
            word = word or self._in_squeezed_looks(without_punctuation(original))
        return Hit(word, looks_only=True) if word else None

    def _in_squeezed(self, canonical: str) -> str | None:
        return self._squeezed.find(squeeze(canonical)) if self._squeezes else None

    def _in_squeezed_looks(self, squeezed: str) -> str | None:
        return self._squeezed_looks.find_looks(squeezed) if self._squeezes else None


class _Lane:
    """The words in one of the forms in which labels are compared with them.

    For words with wildcards a cheap question comes first: does the label begin, or end, or hold
    what one of them demands? It is exact for no lane, and never says no to what fits.
    """

    def __init__(
        self,
        words: Iterable[str],
        form: Callable[[str], str],
        pattern: Callable[[str], str],
    ) -> None:
        self._words: dict[str, str] = {}
        self._patterns: list[tuple[re.Pattern[str], str]] = []
        beginnings, ends, parts = [], [], []
        for word in words:
            if not _WILDCARD.search(word):
                self._words.setdefault(form(word), word)
                continue
            self._patterns.append((re.compile(pattern(word), re.DOTALL), word))
            first, *rest = _WILDCARD.split(word)
            if first:
                beginnings.append(form(first))
            elif rest[-1]:
                ends.append(form(rest[-1]))
            else:
                longest = max(rest[1::2], key=len)
                parts.append(form(longest) if longest else "")
        self._beginnings, self._ends = tuple(beginnings), tuple(ends)
        self._parts = re.compile("|".join(map(re.escape, parts))) if parts else None

    def find(self, text: str) -> str | None:
        """The word that `text` is, in the form of this lane."""
        if word := self._words.get(text):
            return word
        return self._find_pattern(text) if self._may_fit(text) else None

    def find_looks(self, text: str) -> str | None:
        """The word that `text`, whose skeleton is not yet taken, looks like."""
        looks = skeleton(text)
        if word := self._words.get(looks):
            return word
        return self._find_pattern(units(text)) if self._may_fit(looks) else None

    def _may_fit(self, text: str) -> bool:
        return (
            text.startswith(self._beginnings)
            or text.endswith(self._ends)
            or (self._parts is not None and self._parts.search(text) is not None)
        )

    def _find_pattern(self, text: str) -> str | None:
        return next((word for pattern, word in self._patterns if pattern.fullmatch(text)), None)


def _check(word: str) -> None:
    if "\0" in word:
        raise InvalidRequest(
            f"policy.reserved: {word!a} holds a NUL, which no label does", field="policy.reserved"
        )
    visible = skeleton(fold(_WILDCARD.sub("", word)))
    if not visible and ("*" in word or "?" not in word):
        raise InvalidRequest(
            f"policy.reserved: {word!a} has no character besides wildcards; it would refuse every "
            "label, or none",
            field="policy.reserved",
        )


def _may_be_squeezed(word: str) -> bool:
    """Without its punctuation, `admin-*` would be another wish: `admin*`."""
    return not (_WILDCARD.search(word) and _PUNCTUATION.search(word))


def _folded_skeleton(word: str) -> str:
    return skeleton(fold(word))


def _squeezed_skeleton(word: str) -> str:
    return skeleton(squeeze(word))


def _plain_pattern(word: str) -> str:
    return _pattern(fold(word), one=".", literal=re.escape)


def _squeezed_pattern(word: str) -> str:
    return _pattern(squeeze(word), one=".", literal=re.escape)


def _unit_pattern(word: str) -> str:
    return _pattern(fold(word), one=_UNIT, literal=_literal_units)


def _squeezed_unit_pattern(word: str) -> str:
    return _pattern(squeeze(word), one=_UNIT, literal=_literal_units)


_UNIT = r"[^\0]+\0"


def _literal_units(text: str) -> str:
    """Fits what looks like `text`, whichever characters it is made of, up to the end of one."""
    escaped = [re.escape(char) for char in skeleton(text)]
    return r"\0?".join(escaped) + r"\0" if escaped else ""


def _pattern(word: str, one: str, literal: Callable[[str], str]) -> str:
    """A regular expression for a word with wildcards.

    A `*` takes as little as lets the literal behind it fit and gives nothing back: the next `*`
    can take the rest. So the time grows with the length of the label, and not exponentially.
    """
    first, *rest = re.sub(r"\*+", "*", word).split("*")
    pieces = ["".join(one if char == "?" else literal(char) for char in _split(first))]
    for number, part in enumerate(rest, 1):
        fixed = "".join(one if piece == "?" else literal(piece) for piece in _split(part))
        some = f"(?:{one})*"
        pieces.append(f"{some}{fixed}" if number == len(rest) else f"(?>{some}?{fixed})")
    return "".join(pieces)


def _split(part: str) -> list[str]:
    """The literals of a word, and each `?` by itself."""
    return [piece for piece in _WILDCARD.split(part) if piece]
