"""Compare methods of tuning on the same concepts, seeds and panels: `dopsd compare`."""
