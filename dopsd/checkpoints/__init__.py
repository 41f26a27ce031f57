"""States on disk, from which a training that was interrupted goes on as if it never was."""
