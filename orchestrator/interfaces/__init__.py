"""What people and programs touch: the command line and what it prints."""
