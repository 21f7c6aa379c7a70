"""Says what it would merge."""

import sys

print("would merge", *sys.argv[1:])
