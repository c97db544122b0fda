"""Policies of namespaces between the wire and the core.

On the wire a number that is left away is its default; in the core every field has its value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from namestore.core.commands import PutNamespace
from namestore.core.namespaces import NamespaceState, read_policy
from namestore.core.policies import HoldBack, Policy, Profile, encode_policy
from namestore.errors import InvalidRequest
from namestore.policy import Conflict, Finding
from namestore.rpc.fields import checked_request_id
from namestore.rpc.identities import draw_request_id
from namestore.rpc.requests import DrawRequestId
from namestore.v1 import namespaces_pb2 as pb

_NAMESPACE = re.compile(r"[a-z][a-z0-9-]{0,31}")

_PROFILES = {
    pb.Policy.EXACT: Profile.EXACT,
    pb.Policy.SLUG: Profile.SLUG,
    pb.Policy.USERNAME: Profile.USERNAME,
    pb.Policy.EMAIL: Profile.EMAIL,
}
_PROFILE_NUMBERS = {profile: number for number, profile in _PROFILES.items()}

_CONFLICTS = {
    Conflict.INVALID: pb.PolicyConflict.INVALID,
    Conflict.MOVED: pb.PolicyConflict.MOVED,
    Conflict.EQUAL: pb.PolicyConflict.EQUAL,
    Conflict.LOOK_ALIKE: pb.PolicyConflict.LOOK_ALIKE,
}


def namespace_name(text: str, field: str) -> str:
    """A namespace. Raises `InvalidRequest`."""
    if not _NAMESPACE.fullmatch(text):
        raise InvalidRequest(
            f"{field} must be 1 to 32 of a-z, 0-9 and -, beginning with a letter", field=field
        )
    return text


def put_command(
    request: pb.PutNamespaceRequest, draw: DrawRequestId = draw_request_id
) -> PutNamespace:
    """The command of a PutNamespace request.

    Raises:
        InvalidRequest: A field is outside its limits, or the policy cannot be.
    """
    return PutNamespace(
        request_id=checked_request_id(request.request_id, "request_id") or draw(),
        namespace=namespace_name(request.namespace.name, "namespace.name"),
        policy=encode_policy(policy_of(request.namespace.policy)),
        expected_version=request.expected_version,
    )


def policy_of(message: pb.Policy) -> Policy:
    """The policy that a message describes. Lists of words are sorted, each word once.

    Raises:
        InvalidRequest: A value that cannot be; `metadata["field"]` names it.
    """
    profile = _PROFILES.get(message.profile)
    if profile is None:
        raise InvalidRequest(
            f"policy.profile {message.profile} is not known here", field="policy.profile"
        )
    default = Policy()
    hold_back = message.hold_back
    longest_s = message.reservation_longest_s or default.reservation_longest_s
    return Policy(
        profile=profile,
        length_min=message.length_min or default.length_min,
        length_max=message.length_max or default.length_max,
        squeeze=message.squeeze,
        look_alikes=message.look_alikes,
        reserved=_words(message.reserved),
        reserved_shipped=message.reserved_shipped,
        hold_back=HoldBack(hold_back.percent, hold_back.minimum_s, hold_back.maximum_s),
        redirect_after_rename=message.redirect_after_rename,
        names_per_owner_max=message.names_per_owner_max,
        reservation_default_s=message.reservation_default_s
        or min(default.reservation_default_s, longest_s),
        reservation_longest_s=longest_s,
        email_tag_domains=_words(message.email_tag_domains),
        email_dotless_domains=_words(message.email_dotless_domains),
    )


def fill_policy(message: pb.Policy, policy: Policy) -> None:
    """Fills an empty message, every field with its value."""
    message.profile = _PROFILE_NUMBERS[policy.profile]
    message.length_min = policy.length_min
    message.length_max = policy.length_max
    message.squeeze = policy.squeeze
    message.look_alikes = policy.look_alikes
    message.reserved.extend(policy.reserved)
    message.reserved_shipped = policy.reserved_shipped
    message.hold_back.percent = policy.hold_back.percent
    message.hold_back.minimum_s = policy.hold_back.minimum_s
    message.hold_back.maximum_s = policy.hold_back.maximum_s
    message.redirect_after_rename = policy.redirect_after_rename
    message.names_per_owner_max = policy.names_per_owner_max
    message.reservation_default_s = policy.reservation_default_s
    message.reservation_longest_s = policy.reservation_longest_s
    message.email_tag_domains.extend(policy.email_tag_domains)
    message.email_dotless_domains.extend(policy.email_dotless_domains)


def fill_namespace(message: pb.Namespace, name: str, space: NamespaceState) -> None:
    """Fills an empty message: how a namespace stands."""
    message.name = name
    message.policy_version = space.version
    if space.version:
        fill_policy(message.policy, read_policy(space.policy))
    message.pending_version = space.pending_version
    if space.pending_version:
        fill_policy(message.pending_policy, read_policy(space.pending))
        message.pending_through = space.cursor


def conflict_message(namespace: str, finding: Finding) -> pb.PolicyConflict:
    """A name that could not stay as it is; `RESERVED` is none, such names keep their holders."""
    other = f"{namespace}:{finding.other}" if finding.other else ""
    return pb.PolicyConflict(
        kind=_CONFLICTS[finding.conflict],
        name=f"{namespace}:{finding.name}",
        other=other,
        message=finding.message,
    )


def _words(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(words)))
