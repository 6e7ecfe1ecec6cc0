"""The bytes that outlive a process and that several programs must read alike."""
