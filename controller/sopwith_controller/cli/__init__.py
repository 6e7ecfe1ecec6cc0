"""The admins' command line, one module per noun."""
