"""Histories of one name, made up: what one registry can have answered, and what none can."""

from __future__ import annotations

from tests.support.history import Ask, Operation, Said

REG, REL, LOOK = Ask.REGISTER, Ask.RELEASE, Ask.LOOKUP


def op(
    ask: Ask,
    who: str,
    called: float,
    returned: float,
    said: Said,
    revision: int | None = None,
    holder: tuple[str, int] = ("", 0),
    request: str = "",
) -> Operation:
    """One operation on `user:a`; the request is `who`'s only one of its kind unless told."""
    request_id = "" if ask is LOOK else request or f"{who}-{ask.value}"
    owner = "" if ask is LOOK else who
    return Operation(
        who, ask, "user:a", owner, request_id, called, returned, said, revision, *holder
    )


def unknown(ask: Ask, who: str, called: float, request: str = "") -> Operation:
    return op(ask, who, called, float("inf"), Said.UNKNOWN, request=request)


ANN = ("ann", 1)


def refused(
    who: str, called: float, returned: float, since: int = 0, request: str = ""
) -> Operation:
    """A release that hears NOT_OWNER, and not whose the name is."""
    return op(REL, who, called, returned, Said.NOT_OWNER, None, ("", since), request)


GOOD: dict[str, list[Operation]] = {
    "nothing": [],
    "one after the other": [
        op(LOOK, "x", 0, 1, Said.NOT_FOUND, 0),
        op(REG, "ann", 2, 3, Said.GRANTED, 1),
        op(REG, "bob", 4, 5, Said.TAKEN, 1, ANN),
        op(LOOK, "x", 6, 7, Said.FOUND, 1, ANN),
        op(REL, "bob", 8, 9, Said.NOT_OWNER, None, ANN),
        op(REL, "ann", 10, 11, Said.RELEASED, 2),
        op(LOOK, "x", 12, 13, Said.NOT_FOUND, 2),
        op(REG, "bob", 14, 15, Said.GRANTED, 3, request="again"),
    ],
    "a race, answered out of order": [
        op(REG, "bob", 0, 1, Said.TAKEN, 1, ANN),
        op(REG, "ann", 0, 9, Said.GRANTED, 1),
    ],
    "a read during a register may see either": [
        op(REG, "ann", 0, 9, Said.GRANTED, 5),
        op(LOOK, "x", 1, 2, Said.NOT_FOUND, 4),
        op(LOOK, "y", 3, 4, Said.FOUND, 5, ("ann", 5)),
    ],
    "an unknown register that was": [
        unknown(REG, "ann", 0),
        op(REG, "bob", 5, 6, Said.TAKEN, 1, ANN),
    ],
    "an unknown register that was not": [
        unknown(REG, "ann", 0),
        op(REG, "bob", 5, 6, Said.GRANTED, 1),
    ],
    "an unknown release that was, and one that was not": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        unknown(REL, "ann", 2),
        unknown(REL, "ann", 2, "again"),
        op(LOOK, "x", 3, 4, Said.FOUND, 1, ANN),
        op(REG, "bob", 5, 6, Said.GRANTED, 3),
    ],
    "unknown release and unknown register together": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        unknown(REL, "ann", 2),
        unknown(REG, "bob", 2),
        op(LOOK, "x", 3, 4, Said.FOUND, 3, ("bob", 3)),
    ],
    "a retry learns that it won": [
        unknown(REG, "ann", 0),
        op(REG, "bob", 2, 3, Said.TAKEN, 1, ANN),
        op(REG, "ann", 4, 5, Said.GRANTED, 1),
    ],
    "a retry after the release hears the same": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(REL, "ann", 2, 3, Said.RELEASED, 2),
        op(REG, "ann", 4, 5, Said.GRANTED, 1),
        op(LOOK, "x", 6, 7, Said.NOT_FOUND, 2),
    ],
    "refused, since somebody else holds it": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        refused("bob", 2, 3),
        refused("cid", 2, 3, since=1),
        op(LOOK, "x", 4, 5, Said.FOUND, 1, ANN),
    ],
    "refused between two holdings of its own": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        refused("ann", 2, 9, since=3),
        op(REL, "ann", 2, 3, Said.RELEASED, 2, request="first"),
        op(REG, "bob", 4, 5, Said.GRANTED, 3),
        op(REL, "bob", 6, 7, Said.RELEASED, 4),
        op(REG, "ann", 8, 9, Said.GRANTED, 5, request="again"),
    ],
    "refused, for it was released and given to somebody in between": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        unknown(REL, "ann", 2, "first"),
        unknown(REG, "bob", 2),
        refused("ann", 3, 4),
        op(LOOK, "x", 5, 6, Said.FOUND, 3, ("bob", 3)),
    ],
    "refused for a holder whom nobody else heard of": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        unknown(REL, "ann", 2, "first"),
        unknown(REG, "bob", 2),
        unknown(REL, "bob", 2),
        refused("ann", 3, 4, since=3),
        op(LOOK, "x", 5, 6, Said.NOT_FOUND, 4),
    ],
    "refused for one of several, who tells it later": [
        unknown(REG, "bob", 0),
        unknown(REG, "cid", 0),
        refused("ann", 1, 2, since=1),
        op(REG, "dan", 3, 4, Said.TAKEN, 1, ("cid", 1)),
    ],
    "a late copy of a refusal hears the same": [
        op(REG, "bob", 0, 1, Said.GRANTED, 1),
        refused("ann", 2, 3, since=1),
        op(REL, "bob", 4, 5, Said.RELEASED, 2),
        op(REG, "ann", 6, 7, Said.GRANTED, 3),
        refused("ann", 8, 9, since=1),
    ],
    "a refusal that an early attempt met": [
        op(REG, "bob", 0, 1, Said.GRANTED, 1),
        unknown(REL, "ann", 2),
        op(REL, "bob", 4, 5, Said.RELEASED, 2),
        op(REG, "ann", 6, 7, Said.GRANTED, 3),
        refused("ann", 8, 9, since=1),
    ],
    "answers that do not tell their revision": [
        op(LOOK, "x", 0, 1, Said.NOT_FOUND),
        op(REG, "ann", 0, 9, Said.GRANTED, 1),
        op(LOOK, "x", 2, 3, Said.NOT_FOUND),
        op(LOOK, "x", 4, 5, Said.FOUND, None, ANN),
        op(REL, "ann", 10, 11, Said.RELEASED, 2),
        op(REL, "ann", 12, 13, Said.NOT_FOUND, request="again"),
    ],
    "certainly not done, then by another": [
        op(REG, "ann", 0, 1, Said.NOT_DONE),
        op(REG, "bob", 2, 3, Said.GRANTED, 1),
    ],
}

# What both judges must find.
BAD: dict[str, list[Operation]] = {
    "double grant": [
        op(REG, "ann", 0, 9, Said.GRANTED, 1),
        op(REG, "bob", 0, 9, Said.GRANTED, 2),
    ],
    "lost grant": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(LOOK, "x", 2, 3, Said.NOT_FOUND, 1),
    ],
    "stale read after a release": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(REL, "ann", 2, 3, Said.RELEASED, 2),
        op(LOOK, "x", 4, 5, Said.FOUND, 1, ANN),
    ],
    "stale read before a grant": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(LOOK, "x", 2, 3, Said.NOT_FOUND, 0),
        op(LOOK, "x", 4, 5, Said.FOUND, 1, ANN),
    ],
    "release by another": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(REL, "bob", 2, 3, Said.RELEASED, 2),
    ],
    "the owner refused": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(REL, "ann", 2, 3, Said.NOT_OWNER, 1, ANN),
    ],
    "the owner refused, for nobody": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        refused("ann", 2, 3),
        op(LOOK, "x", 4, 5, Said.FOUND, 1, ANN),
    ],
    "the owner refused, for itself": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        refused("ann", 2, 3, since=1),
    ],
    "the owner refused, and free": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        refused("ann", 2, 3),
        op(REL, "ann", 4, 5, Said.RELEASED, 2, request="again"),
    ],
    "refused, and nobody had it": [refused("ann", 0, 1)],
    "refused, for one who asks later": [
        refused("ann", 0, 1),
        op(REG, "bob", 2, 3, Said.GRANTED, 1),
    ],
    "refused, for one who asks later, and hears nothing": [
        refused("ann", 0, 1),
        unknown(REG, "bob", 2),
    ],
    "refused, for one who had given it back": [
        op(REG, "bob", 0, 1, Said.GRANTED, 1),
        op(REL, "bob", 2, 3, Said.RELEASED, 2),
        refused("ann", 4, 5),
    ],
    "released, and a new release refused": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(REL, "ann", 2, 3, Said.RELEASED, 2),
        refused("ann", 4, 5, request="again"),
        op(LOOK, "x", 6, 7, Said.NOT_FOUND, 2),
    ],
    "released, and its retry refused": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(REL, "ann", 2, 3, Said.RELEASED, 2),
        op(REG, "bob", 4, 5, Said.GRANTED, 3),
        refused("ann", 6, 7, since=3),
    ],
    "refused, though nobody could have had it for a moment": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        unknown(REL, "ann", 2, "first"),
        refused("ann", 3, 4),
        op(LOOK, "x", 5, 6, Said.FOUND, 1, ANN),
    ],
    "refused for a moment, and back again": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        unknown(REL, "ann", 2, "first"),
        unknown(REG, "bob", 2),
        refused("ann", 3, 4, since=3),
        op(LOOK, "x", 5, 6, Said.FOUND, 1, ANN),
    ],
    "a look-up without a revision, stale": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(REL, "ann", 2, 3, Said.RELEASED, 2),
        op(LOOK, "x", 4, 5, Said.FOUND, None, ANN),
    ],
    "a look-up without a revision, that misses": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(LOOK, "x", 4, 5, Said.NOT_FOUND),
    ],
    "taken by nobody": [op(REG, "bob", 0, 1, Said.TAKEN, 1, ANN)],
    "taken before it was asked for": [
        op(REG, "bob", 0, 1, Said.TAKEN, 1, ANN),
        op(REG, "ann", 2, 3, Said.GRANTED, 1),
    ],
    "an unknown register seen before it was called": [
        op(LOOK, "x", 0, 1, Said.FOUND, 1, ANN),
        unknown(REG, "ann", 2),
    ],
    "an unknown register done twice": [
        unknown(REG, "ann", 0),
        op(LOOK, "x", 1, 2, Said.FOUND, 1, ANN),
        op(REL, "ann", 3, 4, Said.RELEASED, 2),
        op(LOOK, "x", 5, 6, Said.FOUND, 3, ("ann", 3)),
    ],
    "certainly not done, and done": [
        op(REG, "ann", 0, 1, Said.NOT_DONE),
        op(LOOK, "x", 2, 3, Said.FOUND, 1, ANN),
    ],
    "a retry that heard otherwise": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(REG, "ann", 2, 3, Said.TAKEN, 1, ANN),
    ],
    "a late duplicate that took effect": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(REL, "ann", 2, 3, Said.RELEASED, 2),
        op(REG, "ann", 4, 5, Said.GRANTED, 3),
    ],
    "another holding of the same owner": [
        op(REG, "ann", 0, 1, Said.GRANTED, 1),
        op(LOOK, "x", 2, 3, Said.FOUND, 2, ("ann", 2)),
    ],
}
