"""Outbound: database, source, notifiers, scheduler, signer, clock."""
