"""Ways to go from round to round: whom a round starts from, and whether it learns old pictures again.

>>> arm("gated", share=0.5)  # what `dopsd run --parent champion` does, week after week
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dopsd.gate import Verdict


@dataclass(frozen=True)
class Arm:
    """One way. `is_gated`: a round starts from the champion; otherwise from the version before, whatever its verdict.

    `share` is `replay.share` of its params.yaml.
    """

    name: str
    share: float
    is_gated: bool

    def takes(self, verdict: str) -> bool:
        """Tell whether the next round starts from a version with this verdict."""
        return not self.is_gated or verdict == Verdict.PROMOTE


ARMS: Mapping[str, str] = {
    "gated": "from the champion, with replay: what `dopsd run --parent champion` does",
    "replayed": "from the version before, whatever the gate says, with replay",
    "naive": "from the version before, whatever the gate says, without replay",
}


def arm(name: str, share: float) -> Arm:
    """Look an arm up; raises ValueError listing those there are."""
    if name not in ARMS:
        raise ValueError(f"--arms: there is no {name!r}; choose some of {', '.join(ARMS)}")
    return Arm(name, 0.0 if name == "naive" else share, name == "gated")
