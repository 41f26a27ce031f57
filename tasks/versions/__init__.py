"""Models with a name: where each came from, what it scored, who serves, and every decision on that."""
