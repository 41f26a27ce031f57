"""What may be removed: what is needed, what there is, the difference, and its removal."""
