"""A slug for a post, registered: the author's own, or a SHA regenerated until one is free.

Which slugs are tried is `slugs`' to say. Invariant: each slug tried is a request of its own, and
the first that is granted ends the search, so a call never takes two names.
"""

from __future__ import annotations

from namestore.client.network import Operation
from namestore.client.operations import register
from namestore.client.requests import checked_name
from namestore.client.session import Session
from namestore.client.slugs import slug_candidates
from namestore.client.values import NameRecord, RegisterResult
from namestore.errors import InvalidRequest, NamestoreError, NameTaken, SlugsExhausted


def register_slug(
    session: Session,
    prefix: str,
    slug: str | None,
    owner: str,
    payload: bytes,
    short: bool,
    attempts: int,
    timeout: float | None,
) -> Operation[NameRecord]:
    """See `NameStore.register_slug`."""
    if ":" not in checked_name(prefix):
        raise InvalidRequest(f"prefix {prefix!a} has no colon; write post:", field="prefix")
    if attempts < 1:
        raise InvalidRequest(f"attempts is {attempts}; at least 1 is needed", field="attempts")
    if slug is not None:
        checked_name(slug)
    deadline = session.clock() + session.seconds(timeout)
    result: RegisterResult | None = None
    candidates = slug_candidates(slug, short=short, attempts=attempts, generate=session.fresh_sha)
    tried = 0
    for candidate in candidates:
        tried += 1
        left = max(deadline - session.clock(), 0.001)
        result = yield from register(session, prefix + candidate, owner, payload, None, None, left)
        if result.registered and result.record is not None:
            return result.record
    raise _not_granted(result, slug, tried)


def _not_granted(result: RegisterResult | None, slug: str | None, tried: int) -> NamestoreError:
    if result is not None and slug is not None and tried == 1:
        refusal = result.refusal.name if result.refusal else "OTHER"
        return NameTaken(
            f"{result.name!a} was refused: {refusal}",
            result.record,
            name=result.name,
            refusal=refusal,
        )
    return SlugsExhausted(f"{tried} slugs were tried, and each is taken", attempts=str(tried))
