"""Pure rules of the controller; they take time as an argument and return events."""
