"""What stands on a version's page in MLflow: all that is asked of a version, on one screen, as Markdown.

>>> registry.describe("dopsd", "v7", page(facts))
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dopsd.gate import Decision, Reason
from tasks.folders import sha256_of_json
from tasks.versions.lineage import Lineage

_SHOWN = 12
"""Hex digits of a digest; the tags have it whole."""


@dataclass(frozen=True)
class Facts:
    """What the page tells and shows; `change` counts images added and removed against the parent, where it is known.

    The pictures lie in the folder `record` of the run.
    """

    record: Lineage
    entered: Mapping[str, str]
    commit: str | None
    num_captions: Mapping[str, int]
    change: tuple[int, int] | None
    decision: Decision
    rival: str | None
    run_id: str


def page(facts: Facts) -> str:
    """Spell it out: the verdict first, then where it comes from, then every check, how it looks, and every score."""
    scores = scores_table(facts.record.scores)
    return "\n\n".join([f"**{facts.decision.verdict}**", _origin(facts), _checks(facts), _pictures(facts), scores])


def scores_table(scores: Mapping[str, Any]) -> str:
    """Lay metrics out in rows and models in columns, each a mean with its interval."""
    models: Mapping[str, Mapping[str, Mapping[str, float | None]]] = scores["models"]
    metrics = list(models["adapter"]) if "adapter" in models else []
    rows = [[metric.split("@")[0], *(_interval(of[metric]) for of in models.values())] for metric in metrics]
    return table(["score", *models], rows)


def table(head: list[str], rows: list[list[str]]) -> str:
    """Spell a table out in Markdown; a bar inside a cell becomes a slash."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _origin(facts: Facts) -> str:
    record = facts.record
    change = f", +{facts.change[0]} -{facts.change[1]} against {record.parent}" if facts.change else ""
    written = ", ".join(f"{count} {who}" for who, count in sorted(facts.num_captions.items()))
    clean = {True: "clean", False: "with changes that were not committed", None: "outside of git"}[record.is_git_clean]
    rows = {
        "images": f"`{record.dataset}`: {record.num_images}{change}",
        "captions": f"`{record.captions}`: {written}",
        "base": f"`{record.base}`",
        "parent": record.parent,
        "code": f"`{record.git_commit or 'unknown'}`, {clean}",
        "version as a commit": f"`{facts.commit}`" if facts.commit else "none, outside of git",
        "params": f"`{sha256_of_json(record.params)[:_SHOWN]}`, whole in the tag params",
        "environment": f"`{(record.environment_lock or 'no constraints.txt')[:_SHOWN]}`",
        "weights": f"`{record.adapter[:_SHOWN]}`",
        "made by": f"{facts.entered['by']}, {facts.entered['at']}, started by {facts.entered['trigger']}",
        "compared with": ", ".join(sorted({reason.against for reason in facts.decision.reasons})) + _named(facts.rival),
    }
    if record.upstream == "stale":
        rows["inputs"] = "**stale**, which a person accepted"
    if record.is_weak_teacher_accepted:
        rows["teacher"] = "**weak**, which a person accepted"
    return table(["", ""], [[name, text] for name, text in rows.items()])


def _named(rival: str | None) -> str:
    return f" ({rival})" if rival else ""


def _checks(facts: Facts) -> str:
    """List every check, those that passed last."""
    rows = [
        [reason.check, reason.against, str(reason.outcome), _seen(reason), reason.sentence.partition("allowed is ")[2]]
        for reason in sorted(facts.decision.reasons, key=lambda reason: reason.outcome == "passed")
    ]
    return table(["check", "against", "", "difference, prompts", "allowed"], rows)


def _pictures(facts: Facts) -> str:
    """Show the verdict and the grid: MLflow's own pages ask for artifacts in this way."""
    asked = f"get-artifact?run_id={facts.run_id}&path=record"
    return "\n\n".join(f"![{name}]({asked}/{name}.png)" for name in ("verdict", "grid"))


def _seen(reason: Reason) -> str:
    seen = reason.observed
    return f"{seen.mean:+.3g} [{seen.low:+.3g}, {seen.high:+.3g}], {seen.count}"


def _interval(row: Mapping[str, float | None]) -> str:
    mean, low, high = (row[end] for end in ("mean", "low", "high"))
    if mean is None:
        return "unknown"
    return f"{mean:.3f}" if low is None or high is None else f"{mean:.3f} [{low:.3f}, {high:.3f}]"
