"""What was trained, as other programs want it."""
