"""Inbound HTTPS: enrolment and source files."""
