"""A version made again from its record alone, and how near that comes to what was kept of it."""
