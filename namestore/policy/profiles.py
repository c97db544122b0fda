"""The canonical form of a label, by profile: `exact`, `slug` and `username`.

Every canonical form is a fixed point: made canonical once more, it stays as it is. Where a library
does not keep that for a label, the label is refused. Lengths, reserved words and look-alikes are
judged elsewhere; addresses are `namestore.policy.addresses`.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

import precis_i18n
from precis_i18n.profile import Profile as PrecisProfile

from namestore.core.limits import LABEL_BYTES_MAX
from namestore.core.names import canonical_label
from namestore.errors import InvalidName
from namestore.policy.refusing import Reason, described, invalid, invalid_character, shown
from namestore.policy.scripts import ANY_SCRIPT, mixes_scripts, script_mask, script_name

_PRINTABLE_ASCII = re.compile(r"[\x20-\x7e]+")
_SLUG = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*")
_SLUG_STRANGER = re.compile(r"[^A-Za-z0-9-]")
_SLUG_RULE = "a slug is made of a-z, 0-9 and single hyphens"

# RFC 8264, 9.11: the printable ASCII characters are all of the IdentifierClass; a space is not.
_USERNAME_ASCII = re.compile(r"[\x21-\x7e]+")
_USERNAME_RULE = "a username is made of letters, digits, and the punctuation of ASCII"
_PRECIS_RULES = {
    "spaces": "a username has no spaces; use - or _ between words",
    "controls": "a username has no control characters",
    "precis_ignorable_properties": "a username has no invisible characters",
    "unassigned": "it is not assigned in the Unicode version known here",
    "symbols": f"{_USERNAME_RULE}, no symbols",
    "has_compat": "it is a variant of other characters; write those",
}


def canonical_exact(label: str) -> str:
    """NFC, case kept; no control, unassigned or surrogate code points.

    Raises:
        InvalidName: As for any name without a policy.
    """
    if _PRINTABLE_ASCII.fullmatch(label):
        return label
    try:
        return canonical_label(label)
    except InvalidName as error:
        # The bytes are counted by the caller; what is left are code points.
        size = len(label.encode(errors="surrogatepass"))
        reason = Reason.TOO_LONG if size > LABEL_BYTES_MAX else Reason.FORBIDDEN_CHARACTER
        raise invalid(reason, error.message) from error


def canonical_slug(label: str) -> str:
    """Lower-case ASCII letters, digits, and single hyphens that stand neither first nor last.

    Capital letters are made small. Everything else is refused and nothing is guessed: what an
    accent or a space should become is the author's choice.

    Raises:
        InvalidName: Not a slug; the message says where.
    """
    if _SLUG.fullmatch(label):
        return label.lower()
    if stranger := _SLUG_STRANGER.search(label):
        raise invalid_character(label, stranger.start(), _SLUG_RULE)
    if "--" in label:
        finding = f"two hyphens in a row at position {label.index('--') + 1}"
    else:
        finding = f"a hyphen {'first' if label.startswith('-') else 'last'}"
    raise invalid(Reason.BAD_FORM, f"{shown(label)} has {finding}; {_SLUG_RULE}, none at the ends")


def canonical_username(label: str) -> str:
    """PRECIS UsernameCaseMapped (RFC 8265, 3.3), in one script (UTS #39, highly restrictive).

    A username is one word: spaces, which RFC 8265 lets a protocol put between the parts of a
    username, are refused.

    Raises:
        InvalidName: Not a username; the message says what is wrong and where.
    """
    if _USERNAME_ASCII.fullmatch(label):
        return label.lower()
    canonical = _enforce(label)
    if mixes_scripts(canonical):
        raise _mixture(canonical)
    return canonical


@lru_cache(maxsize=4096)
def _enforce(label: str) -> str:
    try:
        # Applies the rules a second time and refuses what is then changed: a fixed point.
        canonical: str = _precis().enforce(label)
    except UnicodeEncodeError as error:
        raise _translated(error) from error
    return canonical


def _translated(error: UnicodeEncodeError) -> InvalidName:
    """What the library found, with a remedy."""
    kind, text = error.reason.partition("/")[2], error.object
    if kind == "bidi_rule":
        return invalid(
            Reason.BAD_FORM,
            f"{shown(text)} mixes directions of writing; a username with right-to-left letters "
            "begins with one and holds no left-to-right letters (RFC 5893)",
        )
    if kind == "empty":
        return invalid(Reason.EMPTY, f"{shown(text)} has no characters left in canonical form")
    if kind == "not_idempotent":
        finding = "has no one canonical form by RFC 8265; write it in lower-case letters"
        return invalid(Reason.NOT_STABLE, f"{shown(text)} {finding}")
    rule = _PRECIS_RULES.get(kind, f"RFC 8264 does not allow it here ({kind.replace('_', ' ')})")
    return invalid_character(text, error.start, rule)


def _mixture(canonical: str) -> InvalidName:
    """Names the first character that does not go with the first letter."""
    first = next(char for char in canonical if script_mask(char) != ANY_SCRIPT)
    for position, char in enumerate(canonical):
        if mixes_scripts(first + char):
            return invalid(
                Reason.MIXED_SCRIPTS,
                f"{shown(canonical)} mixes {script_name(first)} with {script_name(char)}: "
                f"{described(char)} at position {position + 1}; write it in one script",
            )
    return invalid(
        Reason.MIXED_SCRIPTS,
        f"{shown(canonical)} mixes scripts that do not belong together; write it in one",
    )


@cache
def _precis() -> PrecisProfile:
    return precis_i18n.get_profile("UsernameCaseMapped")
