"""The agent: runs on every computer, refuses what is not signed, tells the truth."""
