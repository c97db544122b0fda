"""The limits of the contract, in one place. Sizes are bytes of UTF-8 unless said otherwise."""

from __future__ import annotations

LABEL_BYTES_MAX = 512
OWNER_BYTES_MAX = 256
PAYLOAD_BYTES_MAX = 1024
REQUEST_ID_BYTES_MAX = 64
BATCH_REQUESTS_MAX = 1000
PAGE_SIZE_MAX = 1000

# A skeleton may be several times as long as what it is made of. In code points.
UNIQUE_KEY_CHARS_MAX = 8192
UNIQUE_KEYS_MAX = 8

# A hundred years, in milliseconds: longer times are mistakes, and all sums stay in 64 bits.
PERIOD_MS_MAX = 100 * 366 * 24 * 60 * 60 * 1000

# How far the change feed reaches back, until somebody says otherwise.
EVENTS_KEPT_MAX = 5_000_000
EVENTS_KEPT_MS = 90 * 24 * 60 * 60 * 1000

# A request is recognised again for at least 24 hours of log time; the hour more covers the
# difference between the clocks of two leaders.
OUTCOME_RETENTION_MS = 25 * 60 * 60 * 1000
