"""Inbound gRPC: one module per service."""
