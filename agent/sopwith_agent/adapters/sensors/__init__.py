"""One question each, answered with facts."""
