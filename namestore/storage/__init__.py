"""Where a node's memory lives on disk: log and state. The only importer of their libraries."""
