"""Answers of the wire beside answers of the model: is it the same that they say?"""

from __future__ import annotations

from typing import Any

from namestore.errors import NamestoreError
from namestore.v1 import registry_pb2 as pb
from tests.properties.registry_model import Answer, Holding, RegistryModel
from tests.simulation.names_asked import Shown, milliseconds, shown
from tests.simulation.names_model import Stood

_REFUSED_BEFORE_THE_LOG = (pb.RESERVED_WORD, pb.INVALID_BY_POLICY)
_ENDS = ("RELEASED", "EXPIRED", "RENAMED_AWAY", "HANDED_OVER")


def as_shown(holding: Holding | None) -> Shown | None:
    """A holding of the model as callers see it."""
    if holding is None:
        return None
    return Shown(
        holding.name,
        holding.display_name,
        holding.owner,
        holding.payload,
        holding.revision,
        holding.changed,
        holding.time_ms,
        holding.expire_ms,
    )


def is_stale(request: Any) -> bool:
    """It asked for one node's state as it is."""
    return getattr(request, "consistency", pb.LINEARIZABLE) == pb.STALE


def revision_of(heard: Any) -> int | None:
    """Of the state that an answer to a read tells of; None: it does not say."""
    if isinstance(heard, pb.LookupManyResponse | pb.RegisterManyResponse):
        return heard.results[0].revision
    revision: int | None = getattr(heard, "revision", None)
    return revision


def never_proposed(heard: Any) -> bool:
    """A policy refused some name of it before the log."""
    results = heard.results if isinstance(heard, pb.RegisterManyResponse) else [heard]
    return any(getattr(r, "refusal", None) in _REFUSED_BEFORE_THE_LOG for r in results)


def differs(request: Any, heard: Any, answers: list[Answer]) -> str:
    """How an answer to a write differs from the model's; empty: not at all."""
    if isinstance(heard, NamestoreError):
        return _error_differs(heard, answers[0])
    results = heard.results if isinstance(request, pb.RegisterManyRequest) else [heard]
    views = [_view(result) for result in results]
    expected = [_view_of(answer, result) for answer, result in zip(answers, results, strict=True)]
    return "" if views == expected else f"it was {expected}"


def _error_differs(error: NamestoreError, answer: Answer) -> str:
    since = "" if answer.holding is None else str(answer.holding.revision)
    if (error.REASON, error.metadata.get("create_revision", "")) == (answer.verdict, since):
        return ""
    return f"it was {answer}"


def _view(result: Any) -> tuple[object, ...]:
    """What an answer says, in the model's words."""
    record = shown(result.record) if _has(result, "record") else None
    match result:
        case pb.ReleaseResponse():
            return ("RELEASED" if result.released else "", result.revision)
        case pb.ConfirmResponse():
            return "CONFIRMED", result.revision, record
        case pb.UpdateResponse():
            return "UPDATED", result.revision, record
        case pb.RegisterResponse():
            verdict = "GRANTED" if result.registered else _refusal(result)
        case pb.RenameResponse():
            verdict = "RENAMED" if result.renamed else _refusal(result)
        case _:
            raise TypeError(f"no answer to a write: {result!r}")
    until_ms = milliseconds(result.until) if result.HasField("until") else 0
    return verdict, result.revision, record, until_ms, result.in_way


def _view_of(answer: Answer, result: Any) -> tuple[object, ...]:
    record = as_shown(answer.holding)
    match result:
        case pb.ReleaseResponse():
            return answer.verdict, answer.revision
        case pb.ConfirmResponse() | pb.UpdateResponse():
            return answer.verdict, answer.revision, record
        case _:
            return answer.verdict, answer.revision, record, answer.until_ms, answer.in_way


def _has(message: Any, field: str) -> bool:
    return field in message.DESCRIPTOR.fields_by_name and message.HasField(field)


def _refusal(result: Any) -> str:
    return pb.Refusal.Name(result.refusal) if result.refusal else "NOT_TRIED"


def history_differs(
    model: RegistryModel, stood: Stood, holding: Holding | None, heard: pb.HistoryResponse
) -> str:
    """How a history differs from what happened; empty: not at all."""
    ended = [span for span in heard.holdings if span.HasField("to_time")]
    spans = [(s.owner, milliseconds(s.from_time), milliseconds(s.to_time)) for s in ended]
    present = [span for span in heard.holdings if not span.HasField("to_time")]
    now = [(span.owner, milliseconds(span.from_time)) for span in present]
    if now != ([] if holding is None else [(holding.owner, stood.since_ms)]):
        return f"{holding} held it then"
    for span in ended:
        event = model.told[span.end_revision - 1]
        if event.kind != pb.Event.Kind.Name(span.ended_by) or event.name != stood.name:
            return f"that end was {event}"
        if span.end_revision < heard.oldest_revision:
            return "it reaches farther back than it says"
    return _ends_differ(model, stood, spans, heard)


def _ends_differ(
    model: RegistryModel, stood: Stood, spans: list[tuple[str, int, int]], heard: Any
) -> str:
    past = model.past.get(stood.name, [])[: stood.ended]
    kept = [
        event
        for event in model.told[heard.oldest_revision - 1 : heard.revision]
        if event.name == stood.name and event.kind in _ENDS
    ]
    if len(kept) != len(spans) or spans != past[len(past) - len(spans) :]:
        return f"it was held by {past}, and {len(kept)} of that is kept"
    return ""


def records_differ(heard: Any, holdings: list[Holding]) -> str:
    """How the records of an answer differ from these holdings; empty: not at all."""
    expected = [as_shown(holding) for holding in holdings]
    return "" if [shown(record) for record in heard.records] == expected else f"it was {expected}"


def page_differs(request: pb.ListRequest, heard: pb.ListResponse, rest: list[Holding]) -> str:
    """How a page differs, if these are the names from its first one on; empty: not at all."""
    if bool(heard.next_page_token) != (len(rest) > request.page_size):
        return "there was another page, or there was none"
    return records_differ(heard, rest[: request.page_size])
