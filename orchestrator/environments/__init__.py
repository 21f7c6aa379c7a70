"""Where cells and skills run: workers and the ways to start them."""
