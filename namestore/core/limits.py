"""The limits of the contract, in one place. Sizes are bytes of UTF-8 unless said otherwise."""

from __future__ import annotations

LABEL_BYTES_MAX = 512
OWNER_BYTES_MAX = 256
PAYLOAD_BYTES_MAX = 1024
REQUEST_ID_BYTES_MAX = 64
BATCH_REQUESTS_MAX = 1000
PAGE_SIZE_MAX = 1000

# A request is recognised again for at least 24 hours of log time; the hour more covers the
# difference between the clocks of two leaders.
OUTCOME_RETENTION_MS = 25 * 60 * 60 * 1000
