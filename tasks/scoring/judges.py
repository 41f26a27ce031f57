"""Who measures: every judge is loaded when it is first asked, from the folder or hub id that params.yaml gives.

>>> judges = Judges(params.evaluate, room.reads, targets={"3f0c": picture})
>>> judges.likeness.distances([picture], [picture])
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL.Image import Image

from dopsd.metrics.catalogue import metric
from dopsd.placement import fastest
from tasks.sections import Evaluate


class Judges:
    """The judges of one comparison, the target pictures by id, and those of concepts learnt earlier."""

    def __init__(
        self,
        settings: Evaluate,
        reads: Mapping[str, Path],
        targets: dict[str, Image],
        earlier: dict[str, Image] | None = None,
    ) -> None:
        """Take where judges lie; nothing is loaded yet."""
        self.targets, self.earlier = targets, earlier or {}
        self._settings, self._reads = settings, reads

    @cached_property
    def orders(self) -> dict[str, Any]:
        """Read GenEval's file: what each prompt orders."""
        return {order.prompt: order for order in metric("geneval_orders")(Path(self._settings.geneval))}

    @cached_property
    def items(self) -> dict[str, Any]:
        """Read DPG-Bench's file: what each prompt is asked about."""
        return {item.prompt: item for item in metric("dpg_items")(Path(self._settings.dpg))}

    @cached_property
    def likeness(self) -> Any:
        """Look with DINO: DINO-D, and the features of sets of pictures."""
        return _loaded("dino_d", self._reads["dino"])

    @cached_property
    def faithfulness(self) -> Any:
        """Read prompts with CLIP: CLIP-S."""
        return _loaded("clip_s", self._reads["clip"])

    @cached_property
    def perceptual(self) -> Any:
        """Look with VGG: LPIPS-D."""
        return _loaded("lpips_d", self._settings.lpips)

    @cached_property
    def diversity(self) -> Any:
        """Compare the pictures of one prompt."""
        return metric("diversity")(self.likeness)

    @cached_property
    def to_base(self) -> Any:
        """Compare a set of pictures with the base's, in DINO's eyes."""
        return metric("frechet")(self.likeness, "frechet_to_base")

    @cached_property
    def fid(self) -> Any:
        """Compare a set of pictures with the targets, in Inception's eyes."""
        return metric("frechet")(self._inception)

    @cached_property
    def kid(self) -> Any:
        """Compare the same sets without bias."""
        return metric("kid")(self._inception)

    @cached_property
    def consistency(self) -> Any:
        """Ask the judge whether the concept is the same: VLM-J."""
        return metric("vlm_j")(self._judge, self._settings.kind)

    @cached_property
    def quality(self) -> Any:
        """Ask the judge how good a picture is: Quality-S."""
        return metric("rating")(self._judge, "quality")

    @cached_property
    def aesthetic(self) -> Any:
        """Ask the judge how pleasing a picture is: Aesthetic-S."""
        return metric("rating")(self._judge, "aesthetic")

    @cached_property
    def geneval(self) -> Any:
        """Look for the objects of a prompt."""
        return metric("geneval")(_loaded("segmenter", self._settings.segmenter), self.faithfulness)

    @cached_property
    def dpg(self) -> Any:
        """Ask the judge about every part of a long prompt."""
        return metric("dpg")(self._judge)

    @cached_property
    def _inception(self) -> Any:
        return _loaded("inception", self._settings.inception)

    @cached_property
    def _judge(self) -> Any:
        return _loaded("judge", self._settings.judge)


def _loaded(name: str, model: str | Path) -> Any:
    return metric(name)(model, fastest())
