"""Use cases over ports: load, decide, record, commit."""
