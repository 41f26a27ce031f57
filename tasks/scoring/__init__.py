"""How models are compared: panels of prompts, drawings, judges, what each metric measures, and the grid."""
