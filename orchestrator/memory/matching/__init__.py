"""How well skills fit a task by what is said of them: words, the topics that words belong to, and what was learned."""
