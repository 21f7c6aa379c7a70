"""Markdown and YAML read into values; nothing is ever run by reading it."""
