"""Asking namestore for the name that a request wants, whatever it takes but no longer than allowed.

Not responsible for what follows from the answer; see `service`.

Invariant: everything asked for is a function of the request_id and the request. A second attempt,
also by another instance or after a crash, walks through the same names under the same ids, and
ends at the name that the first was granted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count
from typing import Any, Protocol

from namestore.client.slugs import slug_candidates
from namestore.client.values import NameRecord, RegisterResult
from namestore.errors import OutcomeUnknown, Unavailable

SLUG_ATTEMPTS = 16
ANONYMOUS = "anonymous"


class Names(Protocol):
    """What the blog uses of `namestore.aio.NameStore`."""

    async def register(
        self, name: str, owner: str = "", *, request_id: bytes | None = None
    ) -> RegisterResult: ...

    async def lookup(self, name: str) -> NameRecord | None: ...


def request_id_of(route: str, key: str) -> bytes:
    """The id of the request that a client sent to `route` with this Idempotency-Key.

    The route is part of it: a client that uses one key for a sign-up and for a post means two
    requests.
    """
    return hashlib.sha256(f"blog {route} {key}".encode()).digest()[:16]


async def register(
    names: Names, kind: str, content: dict[str, Any], request_id: bytes
) -> RegisterResult:
    """Registers the user's name, or a slug for the post.

    `NameStore.register_slug` is this loop in one call, and is what to use where a lost answer may
    cost a SHA: it draws each SHA at random, so a retry ends at another one. Here a retry must end
    at the same post, so the SHAs are derived from the request, and the rest is the library's:
    what looks like a SHA, and in which order candidates are tried.

    Returns:
        The result for the first name that was granted, else for the last that was refused.

    Raises:
        OutcomeUnknown: Twice in a row, for one name.
        NamestoreError: Whatever else namestore says.
    """
    if kind == "user":
        return await _ask(names, f"user:{content['username']}", request_id.hex(), request_id)
    owner = content["author_id"] or ANONYMOUS
    result: RegisterResult | None = None
    for attempt, slug in enumerate(candidate_slugs(content["slug"], request_id)):
        identity = _derived(request_id, "candidate", attempt)[:16]
        result = await _ask(names, f"post:{slug}", owner, identity)
        if result:
            break
    if result is None:
        raise ValueError("a post without a single candidate for its slug")
    return result


def candidate_slugs(slug: str | None, request_id: bytes) -> Iterator[str]:
    """The slugs to try for a post, in order. One, if its author chose it and it is no SHA."""
    numbers = count()
    return slug_candidates(
        slug,
        short=False,
        attempts=SLUG_ATTEMPTS,
        generate=lambda: _derived(request_id, "slug", next(numbers)).hex(),
    )


async def _ask(names: Names, name: str, owner: str, request_id: bytes) -> RegisterResult:
    """Asks, and asks once more under the same id if the answer was lost.

    That is safe as often as one likes: if the first attempt was granted the name, the second hears
    "granted" too. Under a fresh id it would hear "taken", by nobody but itself.
    """
    try:
        return await names.register(name, owner, request_id=request_id)
    except OutcomeUnknown as unknown:
        try:
            return await names.register(name, owner, request_id=request_id)
        except Unavailable:
            # "Certainly not applied" speaks for the second attempt only.
            raise unknown from None


def _derived(request_id: bytes, purpose: str, number: int) -> bytes:
    text = f"{request_id.hex()} {purpose} {number}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).digest()
