"""One module per active state of an assignment, over ports."""
