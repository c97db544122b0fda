"""Requests that change a holding -> commands of the core: Release, Update, Confirm and Rename.

As in `requests`: nothing is proposed from here, and what is refused names its field.
"""

from __future__ import annotations

from namestore.core.commands import Confirm, Release, Rename, Update
from namestore.rpc.fields import (
    checked_name,
    checked_owner,
    checked_payload,
    checked_request_id,
)
from namestore.rpc.identities import draw_request_id
from namestore.rpc.requests import DrawRequestId
from namestore.v1 import registry_pb2 as pb


def release_command(request: pb.ReleaseRequest, draw: DrawRequestId = draw_request_id) -> Release:
    """The command of a Release request.

    Raises:
        InvalidRequest: A field is outside its limits (`InvalidName`: the name).
    """
    return Release(
        request_id=checked_request_id(request.request_id, "request_id") or draw(),
        name=checked_name(request.name, "name"),
        owner=checked_owner(request.owner, "owner"),
        create_revision=request.create_revision,
    )


def update_command(request: pb.UpdateRequest, draw: DrawRequestId = draw_request_id) -> Update:
    """The command of an Update request; what it leaves out stays. Raises as `release_command`."""
    new_owner = request.new_owner if request.HasField("new_owner") else None
    payload = request.payload if request.HasField("payload") else None
    return Update(
        request_id=checked_request_id(request.request_id, "request_id") or draw(),
        name=checked_name(request.name, "name"),
        owner=checked_owner(request.owner, "owner"),
        payload=None if payload is None else checked_payload(payload, "payload"),
        new_owner=None if new_owner is None else checked_owner(new_owner, "new_owner"),
        create_revision=request.create_revision,
    )


def confirm_command(request: pb.ConfirmRequest, draw: DrawRequestId = draw_request_id) -> Confirm:
    """The command of a Confirm request. Raises as `release_command`."""
    return Confirm(
        request_id=checked_request_id(request.request_id, "request_id") or draw(),
        name=checked_name(request.name, "name"),
        owner=checked_owner(request.owner, "owner"),
        create_revision=request.create_revision,
    )


def rename_command(request: pb.RenameRequest, draw: DrawRequestId = draw_request_id) -> Rename:
    """The command of a Rename request. Raises as `release_command`."""
    return Rename(
        request_id=checked_request_id(request.request_id, "request_id") or draw(),
        from_name=checked_name(request.from_name, "from_name"),
        to_name=checked_name(request.to_name, "to_name"),
        display_name=request.to_name,
        owner=checked_owner(request.owner, "owner"),
        create_revision=request.create_revision,
    )
