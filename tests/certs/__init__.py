"""Tests: certs."""
