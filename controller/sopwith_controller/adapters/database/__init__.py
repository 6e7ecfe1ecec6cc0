"""The controller's memory: tables, repositories, one transaction at a time."""
