"""What the pipeline does: one module a stage, and the one table of stages (`tasks.pipeline`)."""
