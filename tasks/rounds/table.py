"""The numbers of rounds: how near to every concept each round left the model, and how much of all else it kept.

frame = likeness({gated: root}, {gated: done})
kept(roots, done)["gated"]   # round to CLIP-S on prompts without a concept, the new version minus the base
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from dopsd.metrics.statistics import Interval
from tasks.folders import read_rows
from tasks.intervals import differences
from tasks.rounds.arm import Arm
from tasks.rounds.workspace import Round, folder_of

_LIKENESS = ("concept/dino_d", "earlier/dino_d")
_KEPT = "retention/clip_s"
COLUMNS = (
    "arm", "round", "version", "verdict", "concept", "learnt_in", "base", "parent", "new", "standing", "after_learning",
    "forgotten",
)  # fmt: skip


def likeness(roots: Mapping[Arm, Path], done: Mapping[Arm, Sequence[Round]]) -> pd.DataFrame:
    """Give DINO-D (lower is nearer) to the pictures of every concept that a round met: a row a round and concept.

    `base`, `parent` and `new` drew the same prompts from the same noise. `standing` is the one of them that the next
    round starts from, `after_learning` what it was when the concept was learnt, `forgotten` how much it rose since;
    these are missing for a concept that was met and whose version was not taken.
    """
    return pd.concat([_of_arm(arm, root, done[arm]) for arm, root in roots.items()], ignore_index=True)


def kept(root: Path, done: Sequence[Round]) -> dict[int, Interval]:
    """Give each round's CLIP-S on prompts that name no concept, the new version minus the base."""
    found = {one.number: differences(folder_of(root, one))["base"] for one in done}
    return {
        number: next(seen for metric, seen in rows.items() if metric.split("@")[0] == _KEPT)
        for number, rows in found.items()
    }


def _of_arm(arm: Arm, root: Path, done: Sequence[Round]) -> pd.DataFrame:
    concepts = {prompt: one for one in done for prompt in _prompts(folder_of(root, one))}
    frame = pd.concat([_of_round(one, root, concepts, is_taken=arm.takes(one.verdict)) for one in done])
    learnt = {one.concept: one.number for one in done if arm.takes(one.verdict)}
    frame["arm"], frame["learnt_in"] = arm.name, frame["concept"].map(learnt)
    after = frame[frame["round"] == frame["learnt_in"]].set_index("concept")["standing"]
    frame["after_learning"] = frame["concept"].map(after)
    frame["forgotten"] = frame["standing"] - frame["after_learning"]
    return frame[list(COLUMNS)].astype({"learnt_in": "Int64"})


def _of_round(one: Round, root: Path, concepts: Mapping[str, Round], *, is_taken: bool) -> pd.DataFrame:
    rows = pd.read_csv(folder_of(root, one) / "rows.csv")
    rows = rows[rows["metric"].str.split("@").str[0].isin(_LIKENESS)]
    rows["concept"] = [concepts[prompt].concept for prompt in rows["prompt"]]
    means = rows.pivot_table(index="concept", columns="model", values="value").rename(columns={"adapter": "new"})
    if "parent" not in means:
        means["parent"] = means["base"]
    means["standing"] = means["new" if is_taken else "parent"]
    return means.reset_index().assign(round=one.number, version=one.version, verdict=one.verdict)


def _prompts(folder: Path) -> list[str]:
    return [row["text"] for row in read_rows(folder / "panel" / "panel.jsonl")]
