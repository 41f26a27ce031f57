"""Stages that run on another machine: what they are told, and what travels through DVC's remote."""
