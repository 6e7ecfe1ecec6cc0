"""Fakes that work: in-memory implementations of ports that pass the contract suites of the real adapters."""
