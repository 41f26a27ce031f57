"""What would run, and why: the fingerprint of a stage, what differs from its last run, and the plan."""
