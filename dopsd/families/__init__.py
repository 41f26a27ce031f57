"""The model lines at our door: one file a family, found by name in `catalogue`."""
