"""What a run leaves on its page in Prefect: how far it is; in the end the verdict, the scores, and the way to MLflow.

with progress(num_stages=7) as heard: heard(outcome)
leave(summary)
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact

from flows.machine import MLFLOW_PAGE
from flows.summary import MODELS, Outcome, Summary, interval
from tasks.versions.run_record import FOLDER


@contextmanager
def progress(num_stages: int) -> Iterator[Callable[[Outcome], None]]:
    """Lend a function that is told what became of each stage, and shows how many are done."""
    bar = cast(UUID, create_progress_artifact(0.0, key="dopsd-progress", description="nothing done yet"))
    done: list[Outcome] = []

    def heard(outcome: Outcome) -> None:
        done.append(outcome)
        said = ", ".join(f"{row.name} {row.status}" for row in done)
        update_progress_artifact(bar, 100 * len(done) / num_stages, description=said)

    yield heard


def leave(summary: Summary) -> None:
    """Leave verdict, scores and links as Markdown, where the run came to a version."""
    if summary.record is not None and summary.scores is not None:
        said = markdown(summary.record, summary.scores)
        create_markdown_artifact(said, key="dopsd-version", description="what came of it")


def markdown(record: Mapping[str, Any], scores: Mapping[str, Any]) -> str:
    """Spell out a version: its verdict and what spoke against it, links, the picture, the scores."""
    against = [f"* {reason['sentence']}" for reason in record["reasons"] if reason["outcome"] != "passed"]
    page, run = os.environ.get(MLFLOW_PAGE, ""), record["mlflow_run_id"]
    name, version = record["model"], str(record["version"])
    links = [
        f"[{name} {version}]({page}/#/models/{name}/versions/{version.removeprefix('v')})",
        f"[the run that trained it]({page}/#/runs/{run})",
    ]
    picture = f"![base, teacher, adapter]({page}/get-artifact?path={FOLDER}/grid.png&run_uuid={run})"
    parts = [f"**{record['verdict']}** {version}", "\n".join(against), *([", ".join(links), picture] if page else [])]
    return "\n\n".join([part for part in parts if part] + [_table(scores["models"])])


def _table(models: Mapping[str, Mapping[str, Any]]) -> str:
    shown = [model for model in MODELS if model in models]
    head = [["score", *shown], ["---"] * (1 + len(shown))]
    rows = [
        [metric.split("@")[0], *(interval(models[model][metric]) for model in shown)] for metric in models[shown[0]]
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in head + rows)
