"""How the tests judge names, and what of a command makes it the same request again."""

from __future__ import annotations

from namestore.core.commands import Command, Register, RegisterAll, Rename, Wanted
from namestore.core.policies import KeyKind, Policy

Keys = tuple[tuple[int, str], ...]


def keys_of(policy: Policy, name: str) -> Keys:
    """What a policy demands to be unique; a small stand-in for what Unicode says."""
    label = name.partition(":")[2]
    squeezed, looks = label.replace("-", ""), label.replace("0", "o")
    if policy.look_alikes and policy.squeeze:
        return ((int(KeyKind.SQUEEZED_LOOKS), squeezed.replace("0", "o")),)
    if policy.look_alikes:
        # Two of one kind, as when a label is shown otherwise than it is compared.
        return ((int(KeyKind.LOOKS), looks), (int(KeyKind.LOOKS), looks + "!"))
    return ((int(KeyKind.SQUEEZED), squeezed),) if policy.squeeze else ()


def asked(command: Command) -> object:
    """What a caller asked for, whatever it was judged to be."""
    match command:
        case Register(_, wanted):
            return "register", _asked(wanted, judged=_is_judged(wanted))
        case RegisterAll(_, many):
            judged = any(map(_is_judged, many))
            return "register all", tuple(_asked(wanted, judged=judged) for wanted in many)
        case Rename(_, from_name, _, shown, owner, _, fence):
            return "rename", from_name, shown, owner, fence
        case _:
            return command


def _asked(wanted: Wanted, *, judged: bool) -> tuple[object, ...]:
    shown = wanted.display_name
    name = shown if judged else wanted.name
    return name, shown, wanted.owner, wanted.payload, wanted.ttl_ms


def _is_judged(wanted: Wanted) -> bool:
    return bool(wanted.judged) or wanted.ttl_ms is not None
