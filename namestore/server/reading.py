"""Answers read from one unchanging picture of the state; that it is fresh was settled before."""

from __future__ import annotations

from collections.abc import Sequence

from namestore.core import reading
from namestore.core.limits import PAGE_SIZE_MAX
from namestore.rpc import pages, responses
from namestore.rpc.requests import Page
from namestore.server.rulebook import canonical_name, rulebook
from namestore.storage.interfaces import StateView
from namestore.v1 import registry_pb2 as pb

# What a read counts as that may read a whole page: never on the event loop.
MANY = PAGE_SIZE_MAX
HOLDINGS_MAX = 1000

# A page ends early rather than outgrow what stock gRPC clients take in one message, 4 MiB.
_PAGE_BYTES_MAX = 2 * 1024 * 1024


def lookup(view: StateView, *, names: Sequence[str]) -> pb.LookupManyResponse:
    """Who holds each of these names, in order; of a renamed one, where it leads."""
    revision = view.meta.revision
    book = rulebook(view, names)
    if book:
        names = [canonical_name(book, name) for name in names]
    response = pb.LookupManyResponse()
    add = response.results.add
    for name, record in zip(names, reading.lookup(view, names), strict=True):
        # Without a policy nothing redirects.
        redirect = reading.redirected(view, name) if book and record is None else None
        responses.fill_lookup(add(), record, redirect, revision)
    return response


def list_page(view: StateView, *, page: Page) -> pb.ListResponse:
    """The names of one page, in the byte order of their canonical form."""
    response = pb.ListResponse(revision=view.meta.revision)
    size_bytes = 0
    for record in reading.records(view, page.prefix, page.after):
        if len(response.records) == page.size or size_bytes > _PAGE_BYTES_MAX:
            response.next_page_token = pages.write_token(response.records[-1].name, page.prefix)
            break
        message = response.records.add()
        responses.fill_record(message, record)
        size_bytes += message.ByteSize()
    return response


def history(view: StateView, *, name: str) -> pb.HistoryResponse:
    """Who held a name, oldest first."""
    meta = view.meta
    response = pb.HistoryResponse(
        revision=meta.revision, oldest_revision=meta.oldest_revision or meta.revision + 1
    )
    name = canonical_name(rulebook(view, (name,)), name)
    for holding in reading.history(view, name)[-HOLDINGS_MAX:]:
        responses.fill_holding(response.holdings.add(), holding)
    return response
