"""The tiny models, from nothing: a drawn world, what is fitted on it, and what came out in numbers."""
