"""D-OPSD: teach a few-step image model a new concept without costing it its few steps (arXiv:2605.05204).

One model plays two parts. The student reads the caption and draws, from noise, in the few steps it will be deployed
with. The teacher, the same model a little slower, reads the caption and the picture, and says at every state the
student visits where it would have gone. The student is pulled towards that opinion, on its own path, so the
supervision never asks for a state that inference would not reach.

Reading order: `training` (the loop), `methods.distillation` (the paper), `roles` (who plays which part), `sampling`,
`family` (what a model line owes us) with `families.z_image`, `examples`, `checkpoint`; then `probe` (is the teacher
worth following?), `metrics` and `gate` (is the adapter worth deploying?). `recipe` has every number one can turn.
"""
