"""What goes out with a model: its card, its bill of materials, a signed statement, and the way to verify them."""
