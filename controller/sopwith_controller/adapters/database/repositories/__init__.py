"""Repositories by concept, each over one `Transaction`."""
