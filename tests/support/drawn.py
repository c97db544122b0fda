"""What this run of the tests drew anew: pytest prints it at the end, also when all is well."""

from __future__ import annotations

DRAWN: list[str] = []
