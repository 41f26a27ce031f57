"""Fine-tune the undistilled parent, deploy on the distilled model: the paper's "SFT + LoRA on distilled".

>>> ParentFlowMatching.needs.model  # "undistilled": models.undistilled in params.yaml

The loss is that of `sft`; the parent's few steps are not there to be lost, and whether what it learnt fits the
distilled model is luck.
"""

from dopsd.methods.sft import FlowMatching
from dopsd.objective import Needs


class ParentFlowMatching(FlowMatching):
    """Flow matching on the parent that the deployed model was distilled from."""

    # Inherited, because it is flow matching to the letter: the model beneath is all that differs.
    needs = Needs(model="undistilled")
