"""Pure rules of the agent: states, readiness, recovery, limits, errors."""
