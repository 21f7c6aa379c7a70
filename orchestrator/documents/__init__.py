"""Documents: Markdown and YAML in, frozen workflows and skills out. Nothing that is read is executed."""
