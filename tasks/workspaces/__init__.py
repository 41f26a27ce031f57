"""Runs that overlap: a folder each, and one execution for all who ask for the same."""
