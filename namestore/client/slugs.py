"""Slugs for posts: what looks like a SHA, and which candidates are tried, in which order.

Pure but for the default generator. Not responsible for registering; see `operations`.

Invariant: a slug that its author chose, and that does not look like a SHA, is never replaced.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from itertools import islice

ABBREVIATION_DIGITS_MIN = 7
SHA_DIGITS = 40

_SHA = re.compile(r"[0-9a-f]{7,40}")


def looks_like_sha(slug: str) -> bool:
    """True for 7 to 40 lower-case hexadecimal digits: a SHA-1, or git's abbreviation of one."""
    return _SHA.fullmatch(slug) is not None


def fresh_sha() -> str:
    """A new SHA-1: 40 lower-case hexadecimal digits, unlike any drawn before."""
    return hashlib.sha1(os.urandom(32), usedforsecurity=False).hexdigest()


def slug_candidates(
    slug: str | None, *, short: bool, attempts: int, generate: Callable[[], str]
) -> Iterator[str]:
    """The slugs to try, in order, at most `attempts` of them.

    Args:
        slug: As given. Not a SHA: it is the only candidate. A SHA: it comes first. None: every
            candidate is generated.
        short: Generated candidates are the abbreviations of a SHA from 7 digits up, and after its
            40 digits those of the next; else whole SHAs.
        attempts: How many candidates there are at most, the given one included.
        generate: Draws a SHA of 40 digits.
    """
    if slug is not None and not looks_like_sha(slug):
        return iter((slug,))
    return islice(_unlimited(slug, short, generate), attempts)


def _unlimited(slug: str | None, short: bool, generate: Callable[[], str]) -> Iterator[str]:
    if slug is not None:
        yield slug
    while True:
        sha = generate()
        if not short:
            yield sha
            continue
        for digits in range(ABBREVIATION_DIGITS_MIN, SHA_DIGITS + 1):
            yield sha[:digits]
