"""A harness that kills the agent at every call to the kernel that matters, and pulls the computer's plug."""
