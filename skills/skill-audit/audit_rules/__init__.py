"""The rules of skill-audit: each module looks at one kind of text and yields findings."""
