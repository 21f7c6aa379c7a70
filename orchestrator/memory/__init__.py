"""What a workspace remembers: the usage record and notes."""
