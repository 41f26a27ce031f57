"""How fast, and in how much memory: measured on networks with random weights. `python -m dopsd.bench --help`."""
