"""Fine-tune beside a de-distillation adapter, and leave that out in the end: what most trainers do today.

>>> AdapterFlowMatching.needs.model  # "dedistilled": models.dedistillation in params.yaml

The loss is that of `sft`; the fused adapter takes the blow that flow matching deals to the few steps.
"""

from dopsd.methods.sft import FlowMatching
from dopsd.objective import Needs


class AdapterFlowMatching(FlowMatching):
    """Flow matching on the deployed model with a de-distillation adapter fused into it."""

    # Inherited, because it is flow matching to the letter: the model beneath is all that differs.
    needs = Needs(model="dedistilled")
