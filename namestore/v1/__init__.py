"""Generated from protos/namestore/v1 by `make protos`; never edited by hand."""
