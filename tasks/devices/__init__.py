"""GPUs of a host: which there are, and whose turn it is."""
