"""What each call of the API means, as generators that any driver can run.

Not responsible for endpoints, retries and deadlines; see `session`. Invariant: one call of a write
is one logical request with one request_id, however often it is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from namestore.client import methods
from namestore.client.batches import requests_for, results_from
from namestore.client.network import Operation, Send, SendAll
from namestore.client.requests import (
    checked_name,
    checked_names,
    checked_owner,
    checked_revision,
    consistency,
    drawn_request_id,
    register_request,
    several,
)
from namestore.client.retry import error_of
from namestore.client.session import Session, call
from namestore.client.states import status_from
from namestore.client.values import (
    EndpointStatus,
    LookupResult,
    NameRecord,
    NewName,
    RegisterResult,
    lookup_result_from,
    record_from,
    register_result_from,
)
from namestore.core.limits import BATCH_REQUESTS_MAX, PAGE_SIZE_MAX
from namestore.errors import (
    InvalidRequest,
    NamestoreError,
    OutcomeUnknown,
    Unavailable,
)
from namestore.v1 import cluster_pb2 as cluster
from namestore.v1 import registry_pb2 as registry

_BATCH_MODES = registry.RegisterManyRequest.Mode


def register(
    session: Session,
    name: str,
    owner: str,
    payload: bytes,
    ttl: float | timedelta | None,
    request_id: bytes | None,
    timeout: float | None,
) -> Operation[RegisterResult]:
    """See `NameStore.register`."""
    identity = drawn_request_id(request_id)
    request = register_request(name, owner, payload, ttl, identity)
    response = yield from call(session, methods.REGISTER, request, session.seconds(timeout))
    return register_result_from(name, response, identity)


def register_many(
    session: Session,
    names: Iterable[str | tuple[str, str] | NewName],
    owner: str,
    payload: bytes,
    ttl: float | timedelta | None,
    all_or_nothing: bool,
    request_id: bytes | None,
    timeout: float | None,
) -> Operation[list[RegisterResult]]:
    """See `NameStore.register_many`."""
    identity = drawn_request_id(request_id)
    wanted = several(names)
    if all_or_nothing and len(wanted) > BATCH_REQUESTS_MAX:
        raise InvalidRequest(
            f"{len(wanted)} names all or nothing; at most {BATCH_REQUESTS_MAX} are possible",
            field="names",
        )
    mode = _BATCH_MODES.ALL_OR_NOTHING if all_or_nothing else _BATCH_MODES.INDEPENDENT
    requests = requests_for(wanted, owner, payload, ttl, identity, mode)
    deadline = session.clock() + session.seconds(timeout)
    results: list[RegisterResult] = []
    for request in requests:
        left = max(deadline - session.clock(), 0.001)
        try:
            response = yield from call(session, methods.REGISTER_MANY, request, left)
        except NamestoreError as error:
            raise _batch_failure(error, len(results), identity) from error
        results.extend(results_from(request, response))
    return results


def _batch_failure(error: NamestoreError, decided: int, identity: bytes) -> NamestoreError:
    """What became of a whole batch when a part of it failed after `decided` names were decided."""
    if decided and isinstance(error, Unavailable):
        error = OutcomeUnknown(
            f"the first {decided} names were decided, the others were not ({error.message}); "
            "retry with the same request_id",
            **error.metadata,
        )
    if isinstance(error, OutcomeUnknown):
        error.metadata["request_id"] = identity.hex()
    error.metadata["decided"] = str(decided)
    return error


def resolve(
    session: Session, name: str, stale: bool, timeout: float | None
) -> Operation[LookupResult]:
    """See `NameStore.resolve`."""
    request = registry.LookupRequest(name=checked_name(name), consistency=consistency(stale))
    response = yield from call(session, methods.LOOKUP, request, session.seconds(timeout))
    return lookup_result_from(name, response)


def lookup(
    session: Session, name: str, stale: bool, timeout: float | None
) -> Operation[NameRecord | None]:
    """See `NameStore.lookup`."""
    request = registry.LookupRequest(name=checked_name(name), consistency=consistency(stale))
    response = yield from call(session, methods.LOOKUP, request, session.seconds(timeout))
    return record_from(response.record) if response.found else None


def contains(session: Session, name: str, stale: bool, timeout: float | None) -> Operation[bool]:
    """See `NameStore.contains`."""
    record = yield from lookup(session, name, stale, timeout)
    return record is not None


def lookup_many(
    session: Session, names: Iterable[str], stale: bool, timeout: float | None
) -> Operation[list[NameRecord | None]]:
    """See `NameStore.lookup_many`."""
    wanted = checked_names(names)
    deadline = session.clock() + session.seconds(timeout)
    records: list[NameRecord | None] = []
    for start in range(0, len(wanted), BATCH_REQUESTS_MAX):
        request = registry.LookupManyRequest(
            names=wanted[start : start + BATCH_REQUESTS_MAX], consistency=consistency(stale)
        )
        left = max(deadline - session.clock(), 0.001)
        response = yield from call(session, methods.LOOKUP_MANY, request, left)
        records.extend(
            record_from(answer.record) if answer.found else None for answer in response.results
        )
    return records


def release(
    session: Session,
    name: str,
    owner: str,
    create_revision: int,
    request_id: bytes | None,
    timeout: float | None,
) -> Operation[int]:
    """See `NameStore.release`."""
    request = registry.ReleaseRequest(
        name=checked_name(name),
        owner=checked_owner(owner),
        request_id=drawn_request_id(request_id),
        create_revision=checked_revision(create_revision),
    )
    response = yield from call(session, methods.RELEASE, request, session.seconds(timeout))
    return response.revision


def list_page(
    session: Session, prefix: str, page_token: str, stale: bool, timeout: float | None
) -> Operation[tuple[list[NameRecord], str]]:
    """One page, and the token of the next (empty: there is none)."""
    request = registry.ListRequest(
        prefix=checked_owner(prefix, "prefix"),
        page_size=PAGE_SIZE_MAX,
        page_token=page_token,
        consistency=consistency(stale),
    )
    response = yield from call(session, methods.LIST, request, session.seconds(timeout))
    return [record_from(record) for record in response.records], response.next_page_token


def status(
    session: Session, endpoint: str | None, timeout: float | None
) -> Operation[list[EndpointStatus]]:
    """See `NameStore.status`."""
    addresses = session.endpoints.addresses
    if endpoint is not None and endpoint not in addresses:
        raise InvalidRequest(
            f"{endpoint!a} is none of this client's endpoints: {', '.join(addresses)}",
            field="endpoint",
        )
    wanted = addresses if endpoint is None else (endpoint,)
    seconds = session.seconds(timeout)
    answers = yield SendAll(
        tuple(Send(address, methods.STATUS, cluster.StatusRequest(), seconds) for address in wanted)
    )
    found = []
    for address, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, cluster.StatusResponse):
            found.append(EndpointStatus(address, status_from(answer), None))
        else:
            found.append(EndpointStatus(address, None, error_of(answer)))
    return found
