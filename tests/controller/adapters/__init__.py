"""Tests: adapters of the controller."""
