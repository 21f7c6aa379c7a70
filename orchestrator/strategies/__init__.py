"""Ways to decompose a task: each is a source of cells."""
