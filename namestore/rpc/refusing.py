"""What the core refused -> the error that stands for it, where being refused is no answer."""

from __future__ import annotations

from namestore.core.outcomes import Outcome, Verdict
from namestore.errors import (
    InvalidRequest,
    InvariantViolation,
    NameNotFound,
    NamestoreError,
    NotOwner,
    OwnerLimit,
    StaleFence,
)


def refused(outcome: Outcome) -> NamestoreError:
    """The error that stands for a change of a holding that did not happen."""
    fence = {}
    if outcome.record is not None:
        fence = {"create_revision": str(outcome.record.create_revision)}
    match outcome.verdict:
        case Verdict.NAME_NOT_FOUND:
            return NameNotFound("nobody holds the name")
        case Verdict.NOT_OWNER:
            return NotOwner("somebody else holds the name", **fence)
        case Verdict.STALE_FENCE:
            return StaleFence("the name was registered anew since that create_revision", **fence)
        case Verdict.OWNER_LIMIT:
            return OwnerLimit("the new owner has as many names there as the policy allows")
        case Verdict.REQUEST_ID_REUSED:
            return reused("")
        case verdict:
            return InvariantViolation(f"a change of a holding was decided as {verdict.name}")


def reused_in_list(place: int) -> InvalidRequest:
    """As `reused`, of a batch in the short form: its members' request_ids are their places'."""
    return InvalidRequest(
        f"names[{place}]: its request_id, that of the batch and this place, was used for a "
        "different request before. A retry sends the same list again, and another list needs "
        "another request_id; what became of the other names is found by looking them up",
        field=f"names[{place}]",
    )


def reused(path: str) -> InvalidRequest:
    """The error of a request_id that was used for another request before.

    Args:
        path: Of the request within its batch, with a dot at the end; empty: it came by itself.
    """
    message = (
        f"{path}request_id was used for a different request before: a retry repeats its request "
        "in every field, and a new request needs a new request_id"
    )
    if path:
        message += (
            " (of an independent batch, the other requests were decided: send them again to hear "
            "how)"
        )
    return InvalidRequest(message, field=path + "request_id")
