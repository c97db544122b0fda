"""Times as the wire has them -> times as applications have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_from(stamp: Timestamp) -> datetime:
    """A moment of the log's time, UTC; what is finer than a microsecond is cut off."""
    return _moment(stamp.seconds, stamp.nanos)


# What was decided together has one time, and mostly comes together.
@lru_cache(maxsize=64)
def _moment(seconds: int, nanos: int) -> datetime:
    return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
