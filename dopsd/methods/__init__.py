"""The ways of tuning: one file a method, all behind `objective.Objective`; `distillation` is the one to begin with."""
