"""The controller's half of the signed source: verify, serve, renew snapshot and timestamp."""
