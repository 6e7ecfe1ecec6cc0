"""Tests: agent."""
