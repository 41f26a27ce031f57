"""What learns, and how it lies in files: an adapter, or all weights, beside a teacher and the base."""
