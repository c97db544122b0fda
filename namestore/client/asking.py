"""Who leads is asked in the background of calls, now and then, so that writes go straight there.

Not responsible for when: `Endpoints.to_ask` says so. Invariant: nobody waits for the answer, and no
call fails by it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from namestore.client.endpoints import Endpoints
from namestore.client.methods import STATUS
from namestore.client.network import Ask, NoAnswer, Operation, Send
from namestore.errors import ConfigError
from namestore.v1.cluster_pb2 import StatusRequest, StatusResponse

_ASK_TIMEOUT_SECONDS = 2.0

_log = logging.getLogger("namestore.client")


def ask_who_leads(endpoints: Endpoints, clock: Callable[[], float]) -> Operation[None]:
    """Asks the nodes whose turn it is."""
    for endpoint in endpoints.to_ask(clock()):
        yield Ask(
            Send(endpoint, STATUS, StatusRequest(), _ASK_TIMEOUT_SECONDS),
            _heard_from(endpoints, endpoint, clock),
        )


def _heard_from(
    endpoints: Endpoints, endpoint: str, clock: Callable[[], float]
) -> Callable[[object], None]:
    def done(answer: object) -> None:
        try:
            if isinstance(answer, StatusResponse):
                endpoints.note_status(endpoint, answer)
            elif isinstance(answer, NoAnswer):
                endpoints.note_failure(endpoint, clock())
        except ConfigError as error:
            # Stated again, to a caller, as soon as a call needs this endpoint.
            _log.warning("endpoint.foreign %s", error)

    return done
