"""What a training learns from, and in which order."""
