"""What is computed for one image and kept: its keys, its entries, who makes them and who asks for them."""
