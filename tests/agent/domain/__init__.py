"""The agent's pure rules."""
