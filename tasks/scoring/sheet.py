"""What one model drew, for judges to mark, and the marks.

>>> sheet = Sheet(drawn, drawn_by_base, judges)
>>> sheet.on("concept", has_target=True)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL.Image import Image

from tasks.scoring.drawings import Drawing
from tasks.scoring.judges import Judges


@dataclass(frozen=True)
class Score:
    """One value of one drawing; of a whole set, one a block of its prompts."""

    metric: str
    prompt: str
    seed: int
    value: float


@dataclass(frozen=True)
class Sheet:
    """What one model drew, what the base drew of the same prompts and seeds, and who looks at it."""

    drawn: Sequence[Drawing]
    base: Sequence[Drawing]
    judges: Judges

    def on(self, *panels: str, has_target: bool = False) -> list[Drawing]:
        """Choose the drawings of some panels, all or those that stand for one target picture."""
        some = [drawing for drawing in self.drawn if drawing.prompt.panel in panels]
        return [drawing for drawing in some if drawing.prompt.target is not None or not has_target]

    def targets(self, drawn: Sequence[Drawing]) -> list[Image]:
        """Find the target of each drawing; prompts without their own take the targets in turn."""
        known = self.judges.targets | self.judges.earlier
        shown = sorted(self.judges.targets)
        order = {prompt: row for row, prompt in enumerate(dict.fromkeys(drawing.prompt for drawing in drawn))}
        return [known[one.prompt.target or shown[order[one.prompt] % len(shown)]] for one in drawn]


def pictures(drawn: Sequence[Drawing]) -> list[Image]:
    """Take the pictures of drawings."""
    return [drawing.picture for drawing in drawn]
