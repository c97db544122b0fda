"""`python -m namestore.cli` is `namestore-cli`."""

from __future__ import annotations

from namestore.cli.main import main

main()
