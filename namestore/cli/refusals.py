"""Why a name was not granted: in words, for programs, and as an exit code."""

from __future__ import annotations

from typing import Any, Final

from namestore.cli.exits import BAD_USAGE, DONE, REFUSED
from namestore.cli.output import holder_text, shown, time_text
from namestore.client.values import Refusal, RegisterResult, RenameResult

Refused = RegisterResult | RenameResult

# The word for a refusal, as it begins a line.
REFUSAL_WORDS: Final = {
    Refusal.TAKEN: "taken",
    Refusal.RESERVED_WORD: "reserved",
    Refusal.CONFUSABLE: "look-alike",
    Refusal.HELD_BACK: "held back",
    Refusal.OWNER_LIMIT: "owner limit",
    Refusal.INVALID_BY_POLICY: "invalid",
    Refusal.OTHER: "refused",
    None: "refused",
}


def result_code(refusal: Refusal | None, *, granted: bool) -> int:
    """The exit code. A name that the policy takes from nobody is a bad name."""
    if granted:
        return DONE
    return BAD_USAGE if refusal is Refusal.INVALID_BY_POLICY else REFUSED


def refusal_line(name: str, result: Refused) -> str:
    """One line: what became of `name`, and why."""
    why = refusal_text(result)
    return f"{REFUSAL_WORDS[result.refusal]}  {shown(name)}  {why}".rstrip()


def refusal_text(result: Refused) -> str:
    """What is in the way, and until when."""
    if result.message:
        return shown(result.message)
    parts = []
    if result.refusal is Refusal.CONFUSABLE and result.record is not None:
        parts.append(f"of {shown(result.record.name)}")
    if result.in_way:
        parts.append(f"because of {shown(result.in_way)}")
    if result.record is not None:
        parts.append(holder_text(result.record))
    if result.until is not None:
        parts.append(f"until {time_text(result.until)}")
    return " ".join(parts)


def why_json(result: Refused) -> dict[str, Any]:
    """The same for programs."""
    return {
        "until": time_text(result.until) if result.until else None,
        "in_way": result.in_way,
        "message": result.message,
        "policy_reason": result.policy_reason,
    }
