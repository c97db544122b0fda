"""Deliberate faults in batches that are written as one command; see `mutants_agreement`."""

from __future__ import annotations

from typing import Any

from namestore.core.deciding import each
from namestore.core.deciding.step import Step
from namestore.core.state import outcome_key
from namestore.rpc import responses
from tests.simulation.mutants_callers import Planted

_fill = responses._fill_granted


class BatchesTakeHeld(Planted):
    """A batch is granted without a look at who holds its names."""

    replaced = ((Step, "are_absent", lambda step, keys: True),)


class BatchesShareIds(Planted):
    """All names of a batch are remembered under the request_id of its first."""

    replaced = ((each, "member_ids", lambda whole, count: [whole + bytes(2)] * count),)


def _and_forgotten(step: Step, command: Any) -> Any:
    decision = _grant_together(step, command)
    if decision is not None:
        step.put(outcome_key(step.remembered.pop()), None)
    return decision


_grant_together = each.grant_together


class TogetherForgotten(Planted):
    """Names that are granted together leave nothing by which their request is known again."""

    replaced = ((each, "grant_together", _and_forgotten),)


def _off_by_one(message: Any, outcome: Any) -> None:
    _fill(message, outcome)
    message.first_revision += 1


class BatchesCountOneUp(Planted):
    """The short answer to a batch says the revision of the second name for the first."""

    replaced = ((responses, "_fill_granted", _off_by_one),)
