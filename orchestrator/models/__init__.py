"""Language models: what answers a prompt, and the ways to reach it."""
