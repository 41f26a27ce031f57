"""What `dopsd` can be told, a command or a few of a kind a file, and how their answers look."""
