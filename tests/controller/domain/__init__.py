"""Tests: the controller's pure rules."""
