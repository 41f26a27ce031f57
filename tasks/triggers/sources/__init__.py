"""Where images come from before a run learns from them: one file a kind of place, all of them only ever read."""
