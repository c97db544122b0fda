"""Where a node's memory lives on disk: the log and the state. The only importer of their libraries."""
