"""Give an adapter out in the form that another program reads, unmerged, or merged into all weights.

dopsd export champion --format comfyui --out star.safetensors
"""

from pathlib import Path

from dopsd.exporting.export import export_adapter
from dopsd.exporting.merging import export_merged, merge_
from dopsd.families.catalogue import family
from dopsd.weights.trained import is_whole
from dopsd.weights.whole import lent, read_whole
from tasks.params import Params


def export(params: Params, adapter: Path, form: str, out: Path, *, is_merged: bool) -> str:
    """Write the adapter in folder `adapter` (or all weights there) to `out`, and say in a sentence what was written.

    Raises ValueError for a form nobody knows, or that has no room for this adapter.
    """
    line = family(params.models.family)
    if is_whole(adapter):
        network = line.load_denoiser(params.models.base).network.float()
        with lent(network, read_whole(network, adapter)):
            export_merged(network, line, form, out)
        return f"{out}: all weights, in fp32, as {form} reads them"
    if not is_merged:
        export_adapter(adapter, line, form, out)
        return f"{out}: the adapter alone, in fp32, as {form} reads it"
    network = line.load_denoiser(params.models.base).network.float()
    kept = merge_(network, adapter, line.pipeline)
    export_merged(network, line, form, out)
    return (
        f"{out}: all weights, in fp32, as {form} reads them; stored in bf16 the adapter would change "
        f"{kept.changed:.0%} of the weights it touches, and be off by {kept.error:.0%} of its own length"
    )
