"""What a model's cells did, read off their source: tags for the ranking, and a program for the next run."""
