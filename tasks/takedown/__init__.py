"""A picture taken down: what it reached, removing it from everywhere, proof that it is gone, and the receipt."""
