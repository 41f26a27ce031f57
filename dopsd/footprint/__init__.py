"""What a network takes in memory while it learns, told beforehand, and the ways to let it take less, or less time."""
