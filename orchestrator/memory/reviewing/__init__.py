"""What a review reads off the usage record: figures, what changed, and what to do about it. Values in, values out."""
