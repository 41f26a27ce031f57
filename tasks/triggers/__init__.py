"""When new images start a run: the policy as data, the journal that loses nothing, the folder that is watched."""
