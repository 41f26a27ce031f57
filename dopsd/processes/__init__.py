"""Several processes that train one model together, and how they end."""
