"""What happens on a person's own machine with a person's keys."""
