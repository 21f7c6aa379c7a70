"""Where code runs: the worker, what starts it, and the parent's side of its protocol."""
