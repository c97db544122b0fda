"""Changes of a name that somebody holds, as generators: update, confirm, rename.

As `operations`, and with its invariant: one call is one logical request with one request_id.
"""

from __future__ import annotations

from namestore.client import methods
from namestore.client.network import Operation
from namestore.client.requests import (
    checked_name,
    checked_owner,
    checked_payload,
    checked_revision,
    drawn_request_id,
)
from namestore.client.session import Session, call
from namestore.client.values import NameRecord, RenameResult, record_from, rename_result_from
from namestore.v1 import registry_pb2 as registry


def update(
    session: Session,
    name: str,
    owner: str,
    payload: bytes | None,
    new_owner: str | None,
    create_revision: int,
    request_id: bytes | None,
    timeout: float | None,
) -> Operation[NameRecord]:
    """See `NameStore.update`."""
    request = registry.UpdateRequest(
        name=checked_name(name),
        owner=checked_owner(owner),
        request_id=drawn_request_id(request_id),
        payload=None if payload is None else checked_payload(payload),
        new_owner=None if new_owner is None else checked_owner(new_owner, "new_owner"),
        create_revision=checked_revision(create_revision),
    )
    response = yield from call(session, methods.UPDATE, request, session.seconds(timeout))
    return record_from(response.record)


def confirm(
    session: Session,
    name: str,
    owner: str,
    create_revision: int,
    request_id: bytes | None,
    timeout: float | None,
) -> Operation[NameRecord]:
    """See `NameStore.confirm`."""
    request = registry.ConfirmRequest(
        name=checked_name(name),
        owner=checked_owner(owner),
        request_id=drawn_request_id(request_id),
        create_revision=checked_revision(create_revision),
    )
    response = yield from call(session, methods.CONFIRM, request, session.seconds(timeout))
    return record_from(response.record)


def rename(
    session: Session,
    from_name: str,
    to_name: str,
    owner: str,
    create_revision: int,
    request_id: bytes | None,
    timeout: float | None,
) -> Operation[RenameResult]:
    """See `NameStore.rename`."""
    identity = drawn_request_id(request_id)
    request = registry.RenameRequest(
        from_name=checked_name(from_name),
        to_name=checked_name(to_name),
        owner=checked_owner(owner),
        request_id=identity,
        create_revision=checked_revision(create_revision),
    )
    response = yield from call(session, methods.RENAME, request, session.seconds(timeout))
    return rename_result_from(response, identity)
