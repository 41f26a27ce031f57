"""Rounds of continual tuning, one concept after another, and what each of them forgets."""
