"""What is logged of a link's life: once when it goes live and when it ends, quietly before."""

from __future__ import annotations

from typing import Any

from namestore.raft.transport.link import Link, Phase
from namestore.raft.transport.quiet_log import QuietLog


class Diary:
    """The events of links.

    Args:
        log: For what happens once; a structlog logger.
        quiet: For what strangers and refused peers can make happen as often as they like.
    """

    def __init__(self, log: Any, quiet: QuietLog) -> None:
        self._log = log
        self._quiet = quiet

    def live(self, link: Link) -> None:
        """The peer was let in."""
        event = "transport.connected" if link.dialed else "transport.peer_connected"
        self._log.info(event, node=link.node_id, remote=link.remote)

    def refused(self, link: Link, reason: str) -> None:
        """The peer is not let in."""
        self._quiet.warning(
            "transport.refused", link.remote, node=link.node_id, remote=link.remote, reason=reason
        )

    def ended(self, link: Link, reason: str) -> None:
        """It is closed. Of dials that came to nothing, the dialer tells."""
        if link.phase is Phase.LIVE:
            event = "transport.disconnected" if link.dialed else "transport.peer_disconnected"
            self._log.info(event, node=link.node_id, remote=link.remote, reason=reason)
        elif link.phase is Phase.GREETING and not link.dialed:
            self._quiet.warning(
                "transport.stranger_left", link.remote, remote=link.remote, reason=reason
            )
