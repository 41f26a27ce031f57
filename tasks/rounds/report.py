"""The report of rounds: `report.md`, every value as CSV, and the picture.

write({gated: root}, {gated: rounds}, "dopsd rounds ...", "It took 20 minutes.", Path("report"), most_lost=0.04)
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from tasks.folders import write_bytes, write_text
from tasks.rounds.arm import ARMS, Arm
from tasks.rounds.plots import Kept, forgetting
from tasks.rounds.table import kept, likeness
from tasks.rounds.workspace import Round

_LEGEND = """\
A round is one `dopsd run --parent ...` on the pictures of one new concept. DINO-D is the distance to a concept's
pictures, lower is nearer; "gained" is the new version minus the base on the round's own concept. "Forgotten" is how far
DINO-D rose since a concept was learnt, in the model that the next round starts from, a mean over the concepts learnt in
earlier rounds. "Kept" is CLIP-S on prompts without a concept, the new version minus the base, with 95 % intervals over
prompts. A version that is not taken leaves the next round where this one began."""
_ROUNDS = ("round", "concept", "from", "version", "verdict", "gained", "forgotten", "kept", "against it")
_CONCEPTS = ("concept", "learnt in", "base", "right after", "after the last round", "forgotten")
_VALUES, _PICTURE = "rounds.csv", "rounds.png"


def write(
    roots: Mapping[Arm, Path], done: Mapping[Arm, Sequence[Round]], command: str, took: str, out: Path,
    *, most_lost: float,
) -> None:  # fmt: skip
    """Write the files of a report into `out`."""
    frame = likeness(roots, done)
    keeps = {arm.name: kept(root, done[arm]) for arm, root in roots.items()}
    write_text(out / _VALUES, frame.round(6).to_csv(index=False))
    write_bytes(out / _PICTURE, forgetting(frame, keeps, most_lost))
    parts = ["# Rounds of continual tuning", f"    {command}", took, _LEGEND]
    parts += [f"Every value: [{_VALUES}]({_VALUES}).", f"![what rounds forget]({_PICTURE})"]
    for arm, rounds in done.items():
        parts += _of_arm(arm, rounds, frame[frame["arm"] == arm.name], keeps[arm.name])
    write_text(out / "report.md", "\n\n".join(parts) + "\n")


def _of_arm(arm: Arm, rounds: Sequence[Round], frame: pd.DataFrame, keeps: Kept) -> Iterator[str]:
    """Say what became of every round, then of every concept."""
    yield f"## {arm.name}"
    yield f"Each round starts {ARMS[arm.name]} (`replay.share` {arm.share:g})."
    yield _markdown(_ROUNDS, [_round(one, frame[frame["round"] == one.number], keeps) for one in rounds])
    if concepts := [_concept(name, some) for name, some in frame.dropna(subset="forgotten").groupby("concept")]:
        yield _markdown(_CONCEPTS, concepts)


def _round(one: Round, frame: pd.DataFrame, keeps: Kept) -> list[str]:
    own, seen = frame[frame["concept"] == one.concept].iloc[0], keeps[one.number]
    before = frame[frame["round"] > frame["learnt_in"]]["forgotten"].mean()
    kept_said = f"{seen.mean:+.3f} [{seen.low:+.3f}, {seen.high:+.3f}]"
    against = "; ".join(reason.partition(":")[0] for reason in one.reasons)
    gained = own["new"] - own["base"]
    return [
        str(one.number), one.concept, one.parent, one.version, one.verdict, _said(gained), _said(before), kept_said,
        against or "nothing",
    ]  # fmt: skip


def _concept(name: object, frame: pd.DataFrame) -> list[str]:
    last = frame.sort_values("round").iloc[-1]
    values = [f"{last[key]:.3f}" for key in ("base", "after_learning", "standing")]
    return [str(name), str(last["learnt_in"]), *values, _said(last["forgotten"])]


def _said(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:+.3f}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])
