"""Runs a plan: the engine, the calls it serves, the journal it keeps."""
