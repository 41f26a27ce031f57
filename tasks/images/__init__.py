"""The dataset: files taken in, pictures made alike, captions, and the rows that say what there is."""
