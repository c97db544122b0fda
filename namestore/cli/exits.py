"""Exit codes: one table from error class to code, and one to what a person should do next.

Scripts rely on the codes, so they answer the question of the exception tree, *did it happen?*:
3 is certainly not done, 4 may have been done. An error nobody foresaw is therefore 4, never 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from namestore import errors

T = TypeVar("T")

DONE: Final = 0
REFUSED: Final = 1
BAD_USAGE: Final = 2
UNAVAILABLE: Final = 3
OUTCOME_UNKNOWN: Final = 4
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it

# Looked up along the class's bases: the nearest entry counts.
EXIT_CODES: Final[dict[type[errors.NamestoreError], int]] = {
    errors.InvalidRequest: BAD_USAGE,
    errors.Refused: REFUSED,
    errors.AccessDenied: REFUSED,
    errors.NotImplementedYet: BAD_USAGE,  # no retry helps: this server does not have the command
    errors.Unavailable: UNAVAILABLE,
    errors.OutcomeUnknown: OUTCOME_UNKNOWN,
    errors.ClientMisuse: BAD_USAGE,
    errors.ConfigError: BAD_USAGE,
    errors.StorageError: UNAVAILABLE,  # an embedded registry that could not be opened
    errors.DiskFailed: OUTCOME_UNKNOWN,
    errors.InvariantViolation: OUTCOME_UNKNOWN,
    errors.NamestoreError: OUTCOME_UNKNOWN,
}

_ADVICE: Final[dict[type[errors.NamestoreError], str]] = {
    errors.Unreachable: "is a node running? start one with: namestore-local-cluster up",
    errors.NoQuorum: "too few nodes reach each other; see which with: namestore-cli status",
    errors.NoLeader: "an election may be under way; try again, or see: namestore-cli status",
    errors.Overloaded: "wait a little, then try again",
    errors.ShuttingDown: "try again, with other --endpoints if you have them",
    errors.Unavailable: "nothing was done; try again",
    errors.OutcomeUnknown: "it may have been done; run the same command again to learn",
    errors.NameNotFound: "check the spelling, or see what is there: namestore-cli list PREFIX",
    errors.NotOwner: "give the --owner who registered the name; see: namestore-cli lookup NAME",
    errors.StaleFence: "look the name up again before deciding what to do",
    errors.ChangeUnderWay: "see how far it is: namestore-cli members list",
    errors.SlugsExhausted: "try again, with more --attempts or without --short",
    errors.Unauthenticated: "give credentials that the server knows",
    errors.PermissionDenied: "ask whoever runs the cluster for the right to do this",
    errors.NotImplementedYet: "this needs a newer server",
    errors.DirectoryInUse: "end the process that has it open, or talk to it through --endpoints",
}

# The reason of an error class that never travels over the wire, and so has none of its own.
_LOCAL_REASONS: Final[dict[type[errors.NamestoreError], str]] = {
    errors.ReservationExpired: "RESERVATION_EXPIRED",
    errors.SlugsExhausted: "SLUGS_EXHAUSTED",
    errors.Unreachable: "UNREACHABLE",
    errors.ClientMisuse: "CLIENT_MISUSE",
    errors.ConfigError: "CONFIG_ERROR",
    errors.DirectoryInUse: "DIRECTORY_IN_USE",
    errors.DiskDamaged: "DISK_DAMAGED",
    errors.DiskFailed: "DISK_FAILED",
    errors.StorageError: "STORAGE_ERROR",
    errors.InvariantViolation: "INVARIANT_VIOLATION",
    errors.Refused: "REFUSED",
    errors.AccessDenied: "ACCESS_DENIED",
    errors.Unavailable: "UNAVAILABLE",
    errors.NamestoreError: "UNKNOWN_ERROR",
}


def exit_code(error: errors.NamestoreError) -> int:
    """The exit code that this error calls for."""
    return _nearest(EXIT_CODES, error) or OUTCOME_UNKNOWN


def advice(error: errors.NamestoreError) -> str:
    """What to do next, for a person. Empty: the message says it all."""
    return _nearest(_ADVICE, error) or ""


def reason(error: errors.NamestoreError) -> str:
    """The error's identity in `--json` output; that of the wire where it has one."""
    return error.REASON or _nearest(_LOCAL_REASONS, error) or ""


def _nearest(table: Mapping[type[errors.NamestoreError], T], error: Exception) -> T | None:
    for kind in type(error).__mro__:
        if kind in table:
            return table[kind]
    return None
