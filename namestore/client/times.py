"""Times as the wire has them -> times as applications have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_from(stamp: Timestamp) -> datetime:
    """A moment of the log's time, UTC; what is finer than a microsecond is cut off."""
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
