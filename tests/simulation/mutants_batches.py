"""Deliberate faults in batches that are written as one command; see `mutants_agreement`."""

from __future__ import annotations

from typing import Any

from namestore.core.deciding import each
from namestore.core.deciding.step import Step
from namestore.rpc import responses
from tests.simulation.mutants_callers import Planted

_fill = responses._fill_granted


class BatchesTakeHeld(Planted):
    """A batch is granted without a look at who holds its names."""

    replaced = ((Step, "are_absent", lambda step, keys: True),)


class BatchesShareIds(Planted):
    """All names of a batch are remembered under the request_id of its first."""

    replaced = ((each, "PLACES", (bytes(2),) * 1000),)


def _off_by_one(message: Any, outcome: Any) -> None:
    _fill(message, outcome)
    message.first_revision += 1


class BatchesCountOneUp(Planted):
    """The short answer to a batch says the revision of the second name for the first."""

    replaced = ((responses, "_fill_granted", _off_by_one),)
