"""What a run came to: JSON for programs, a table of stages and one of scores for people.

summary = Summary.of(outcomes, Path())
summary.show(Console(stderr=True)), summary.as_json()
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from tasks.folders import read_json
from tasks.pipeline import PLACES, stage
from tasks.workspaces.workspace import is_lent

Status = Literal["ran", "sent", "joined", "cached", "refused", "failed", "deferred", "gave way", "stale"]
ENDING: tuple[Status, ...] = ("refused", "failed", "deferred")
"""After these, no other stage has its turn."""
_STATUS_STYLES: Mapping[Status, str] = {
    "ran": "green",
    "sent": "green",
    "joined": "green",
    "cached": "dim",
    "refused": "yellow",
    "failed": "red",
    "deferred": "yellow",
    "gave way": "yellow",
    "stale": "yellow",
}
_VERDICT_STYLES = {"PROMOTE": "bold green", "HOLD": "bold yellow", "REJECT": "bold red"}
MODELS = ("base", "parent", "adapter")


@dataclass(frozen=True)
class Outcome:
    """What became of a stage, how long that took, how many images it computed and reused, and why it ended early."""

    name: str
    status: Status
    seconds: float
    images: Mapping[str, int] | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Summary:
    """The stages that had their turn; the record of the version and the scores, if these were to come of them."""

    outcomes: Sequence[Outcome]
    record: Mapping[str, Any] | None
    scores: Mapping[str, Any] | None
    is_joined: bool = False
    is_kept: bool = True
    """Whether the folders that the stages wrote stay after the run."""

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], root: Path) -> "Summary":
        """Gather what the workspace holds of a run that ended with `outcomes`.

        What stages wrote that were not asked for is an earlier run's.
        """
        if not cls(outcomes, None, None).is_done:
            return cls(outcomes, None, None)
        written = {place for row in outcomes for place in stage(row.name).writes}
        record, scores = (_read(root, place) if place in written else None for place in ("version", "scores"))
        return cls(outcomes, record, scores, is_kept=not is_lent(root))

    @classmethod
    def joined(cls, landed: Mapping[str, Any]) -> "Summary":
        """Take what another run came to, as its `landed` told it: what ran there did not run here."""
        outcomes = [Outcome(**row) for row in landed["outcomes"]]
        worked = ("ran", "sent")
        outcomes = [replace(row, status="joined", seconds=0.0) if row.status in worked else row for row in outcomes]
        return cls(outcomes, landed["record"], landed["scores"], is_joined=True, is_kept=False)

    def landed(self) -> dict[str, Any]:
        """Give all of it as JSON, for those who asked for the same."""
        return {"outcomes": [asdict(row) for row in self.outcomes], "record": self.record, "scores": self.scores}

    @property
    def is_done(self) -> bool:
        """Tell whether every stage came to its end."""
        return not any(outcome.status in ENDING for outcome in self.outcomes)

    def as_json(self) -> dict[str, object]:
        """Give what `dopsd run --json` prints; version and verdict are null where the run did not get that far."""
        found = self.record or {}
        said = [asdict(outcome) for outcome in self.outcomes]
        stages = [{key: value for key, value in row.items() if value is not None} for row in said]
        return {"stages": stages, "version": found.get("version"), "verdict": found.get("verdict")}

    def show(self, console: Console) -> None:
        """Print the tables, the verdict and where the picture is."""
        console.print(self._stages())
        if self.scores is not None:
            console.print(_scores(self.scores["models"]))
        if self.record is not None:
            _show_verdict(self.record, console)
        if where := self._pictures():
            console.print(f"pictures  {where}", highlight=False)

    def _pictures(self) -> str | None:
        """Say where the pictures are that the run drew, if it did."""
        if self.is_kept:
            return f"{PLACES['scores']}/grid.png" if self.record or self.scores else None
        return f"MLflow run {self.record['mlflow_run_id']}" if self.record else None

    def _stages(self) -> Table:
        seconds = Column("seconds", justify="right")
        table = Table("stage", "", seconds, box=None, pad_edge=False, header_style="bold")
        for outcome in self.outcomes:
            table.add_row(outcome.name, Text(outcome.status, _STATUS_STYLES[outcome.status]), f"{outcome.seconds:.1f}")
        return table


def _read(root: Path, place: str) -> Mapping[str, Any] | None:
    path = root / PLACES[place] / f"{place}.json"
    found: Mapping[str, Any] | None = read_json(path) if path.is_file() else None
    return found


def _scores(models: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> Table:
    """Lay metrics out in rows and models in columns, each a mean with its interval."""
    shown = [model for model in MODELS if model in models]
    table = Table("score", *shown, box=None, pad_edge=False, header_style="bold", title_justify="left")
    for metric in models[shown[0]]:
        table.add_row(metric.split("@")[0], *(interval(models[model][metric]) for model in shown))
    return table


def interval(row: Mapping[str, float | None]) -> str:
    """Spell a score with its interval: "0.315 [0.257, 0.372]"; "unknown" where it has no mean."""
    mean, low, high = (row[end] for end in ("mean", "low", "high"))
    if mean is None or low is None or high is None:
        return "unknown" if mean is None else f"{mean:.3f}"
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def _show_verdict(record: Mapping[str, Any], console: Console) -> None:
    console.print(Text.assemble((record["verdict"], _VERDICT_STYLES[record["verdict"]]), f"  {record['version']}"))
    if record.get("is_shadow"):
        console.print("  judged in the shadow: no alias moved; `dopsd run --force register` lets it count")
    if record.get("lineage", {}).get("upstream") == "stale":
        console.print("  made from stale inputs, which was accepted", style="yellow")
    for reason in record["reasons"]:
        if reason["outcome"] != "passed":
            console.print(f"  {reason['sentence']}", highlight=False)
