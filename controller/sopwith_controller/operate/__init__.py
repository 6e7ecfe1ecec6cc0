"""Operating the server: init, serve, migrate, check-config."""
