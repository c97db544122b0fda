"""How two nodes introduce themselves, and the frames that belong to a connection, not to Raft.

The node that dialed sends its `Hello`, the other answers with its own, or with `refused` and the
reason. It decides nothing about who is let in: that is `link.Gate`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from namestore.raft.transport.framing import GREETING_BYTES_MAX, frame
from namestore.raft.transport.messages import MESSAGE_BYTES_MAX, RAFT_ROWS
from namestore.raft.transport.schema import BOOL, UINT, MessageType, Schema, text

# Grows when nodes of the two versions could not understand each other.
PROTOCOL_VERSION = 1
REASON_CHARACTERS_MAX = 500
ADDRESS_CHARACTERS_MAX = 300


@dataclass(frozen=True, slots=True)
class Hello:
    """Who a node says it is.

    Attributes:
        protocol: `PROTOCOL_VERSION` of the node that says it.
        cluster_name: From its configuration.
        cluster_id: Hexadecimal; empty while the node does not know it yet.
        node_id: Its identity; with TLS its certificate must say the same.
        incarnation: Hexadecimal, drawn when its data directory was made.
        fresh: It has never voted nor acknowledged anything.
        raft_address: host:port where it is reached, as its own configuration has it.
        membership_index: Of the newest committed membership it knows, if that counts it; else 0.
    """

    protocol: int
    cluster_name: str
    cluster_id: str
    node_id: str
    incarnation: str
    fresh: bool
    raft_address: str = ""
    membership_index: int = 0


# Codes 1 to 15 belong to connections. The hello's row begins with the protocol, for ever, so that
# a later version can at least say why it refuses an earlier one.
_HELLO = MessageType(
    1,
    "hello",
    (
        ("protocol", UINT),
        ("cluster_name", text(256)),
        ("cluster_id", text(64)),
        ("node_id", text(256)),
        ("incarnation", text(64)),
        ("fresh", BOOL),
        ("raft_address", text(ADDRESS_CHARACTERS_MAX)),
        ("membership_index", UINT),
    ),
)
_REFUSED = MessageType(2, "refused", (("reason", text(REASON_CHARACTERS_MAX)),))
_PING = MessageType(3, "ping", ())
_PONG = MessageType(4, "pong", ())

GREETING = Schema((_HELLO, _REFUSED), GREETING_BYTES_MAX)
# What the side that dialed may hear after the greeting, and what the other side may.
DIALED = Schema((_PONG, _REFUSED), GREETING_BYTES_MAX)
ACCEPTED = Schema((_PING, _REFUSED, *RAFT_ROWS), MESSAGE_BYTES_MAX)

PING_FRAME = frame(ACCEPTED.encode({"type": "ping"}))
PONG_FRAME = frame(DIALED.encode({"type": "pong"}))


def hello_frame(hello: Hello) -> bytes:
    """The frame that introduces a node."""
    return frame(GREETING.encode({"type": "hello", **asdict(hello)}))


def hello_from(message: dict[str, Any]) -> Hello:
    """The hello in a message that `GREETING` decoded."""
    return Hello(**{name: value for name, value in message.items() if name != "type"})


def refusal_frame(reason: str) -> bytes:
    """The frame that says why a peer is not let in, shortened to what fits."""
    return frame(GREETING.encode({"type": "refused", "reason": printable(reason)}))


def printable(reason: str) -> str:
    """A peer's or a library's words, safe to log: one line, nothing that steers a terminal."""
    words = "".join(c if c.isprintable() else "?" for c in reason[:REASON_CHARACTERS_MAX])
    return words.encode("utf-8", "replace").decode("utf-8")
