"""Pages for people: each one file that needs no network and lets nothing of what it shows become markup or script."""
