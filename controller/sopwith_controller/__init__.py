"""The controller: decides and remembers."""
