"""A policy as the plain values of JSON and TOML, for command lines and configuration.

What is left away has its default; what is not known is refused, because a misspelt rule that is
silently ignored is found on the day it was meant for. `hold_back` is "never", seconds, or a table
of percent, minimum_s and maximum_s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, NoReturn

from namestore.core.policies import HoldBack, Policy, Profile
from namestore.errors import InvalidRequest

NEVER = "never"

_WORD_LISTS = ("reserved", "email_tag_domains", "email_dotless_domains")
_POLICY_KEYS = [field.name for field in fields(Policy)]
_HOLD_BACK_KEYS = [field.name for field in fields(HoldBack)]


def policy_from(values: Mapping[str, Any]) -> Policy:
    """The policy that plain values describe. Lists of words are sorted, each word once.

    Raises:
        InvalidRequest: An unknown key, or a value that cannot be; `metadata["field"]` names it.
    """
    _check_keys("policy", values, _POLICY_KEYS)
    found = dict(values)
    if "profile" in found:
        found["profile"] = _profile(found["profile"])
    if "hold_back" in found:
        found["hold_back"] = _hold_back(found["hold_back"])
    for name in _WORD_LISTS:
        if name in found:
            found[name] = _words(f"policy.{name}", found[name])
    return Policy(**found)


def policy_to(policy: Policy) -> dict[str, Any]:
    """The plain values of a policy, every field of it; `policy_from` gives it back."""
    values: dict[str, Any] = {name: getattr(policy, name) for name in _POLICY_KEYS}
    values["profile"] = policy.profile.value
    for name in _WORD_LISTS:
        values[name] = list(values[name])
    hold_back = policy.hold_back
    if hold_back == HoldBack.fixed(hold_back.maximum_s):
        values["hold_back"] = hold_back.maximum_s or NEVER
    else:
        values["hold_back"] = {name: getattr(hold_back, name) for name in _HOLD_BACK_KEYS}
    return values


def _profile(value: Any) -> Profile:
    try:
        return Profile(value)
    except ValueError:
        _refuse("policy.profile", f"{value!a} is not a profile; use one of {', '.join(Profile)}")


def _hold_back(value: Any) -> HoldBack:
    where = "policy.hold_back"
    if value == NEVER:
        return HoldBack()
    if type(value) is int:
        return HoldBack.fixed(value)
    if not isinstance(value, Mapping):
        _refuse(where, f'{value!a} is neither "never", nor seconds, nor a table')
    _check_keys(where, value, _HOLD_BACK_KEYS)
    missing = [name for name in _HOLD_BACK_KEYS if name not in value]
    if missing:
        _refuse(where, f"has no {missing[0]}; give {', '.join(_HOLD_BACK_KEYS)}")
    return HoldBack(**value)


def _words(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(type(word) is str for word in value):
        _refuse(where, "is not a list of texts")
    return tuple(sorted(set(value)))


def _check_keys(where: str, values: Mapping[str, Any], known: list[str]) -> None:
    for key in values:
        if key not in known:
            close = get_close_matches(str(key), known, 1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
            _refuse(f"{where}.{key}", f"is not known; {hint}")


def _refuse(where: str, finding: str) -> NoReturn:
    raise InvalidRequest(f"{where}: {finding}", field=where)
