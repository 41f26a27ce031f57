"""Where versions come from and where they went: records, the index over their images, questions to it."""
