"""People at the computer: who is there, how they are told, and how their answers come back."""
