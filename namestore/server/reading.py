"""Answers read from one unchanging picture of the state; that it is fresh was settled before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from namestore.core.records import decode_record
from namestore.core.state import NAME_PREFIX, name_key
from namestore.rpc import pages, responses
from namestore.rpc.requests import Page
from namestore.storage.interfaces import StateView
from namestore.v1 import registry_pb2 as pb

# A page ends early rather than outgrow what stock gRPC clients take in one message, 4 MiB.
_PAGE_BYTES_MAX = 2 * 1024 * 1024


def lookup(view: StateView, *, names: Sequence[str]) -> pb.LookupManyResponse:
    """Who holds each of these canonical names, in order."""
    revision = view.meta.revision
    values = view.get_many([name_key(name) for name in names])
    response = pb.LookupManyResponse()
    add = response.results.add
    for name, value in zip(names, values, strict=True):
        record = None if value is None else decode_record(name, value)
        responses.fill_lookup(add(), record, revision)
    return response


def list_page(view: StateView, *, page: Page) -> pb.ListResponse:
    """The names of one page, in the byte order of their canonical form."""
    # The next possible key after a name is that name and a zero byte.
    start = name_key(page.after) + b"\0" if page.after else name_key(page.prefix)
    response = pb.ListResponse(revision=view.meta.revision)
    size_bytes = 0
    for key, value in islice(view.scan(start, name_key(page.prefix)), page.size + 1):
        if len(response.records) == page.size or size_bytes > _PAGE_BYTES_MAX:
            response.next_page_token = pages.write_token(response.records[-1].name, page.prefix)
            break
        name = key[len(NAME_PREFIX) :].decode()
        response.records.append(responses.name_record(decode_record(name, value)))
        size_bytes += len(key) + len(value)
    return response
