"""One command answers every table, by cells that tables share."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from flows import comparison
from flows.commands.compare import compare
from tasks.comparison.question import Table
from tasks.comparison.referee import VALUES, Case
from tasks.comparison.workspaces import PREPARED, finish, finished
from tasks.folders import write_json, write_text
from tasks.params import load
from tasks.pipeline import PLACES

METRICS = {"concept/dino_d@tiny@0": -0.1, "retention/clip_s@tiny@0": -0.01, "retention/sharpness": -0.2}
app = typer.Typer()
app.command()(compare)


class Bench:
    """Work that is done in no time: scores follow from what a cell trains, and every cell that is scored is noted."""

    def __init__(self, root: Path) -> None:
        self.root, self.scored = root, list[str]()
        for name in ("base", "vlm", "dino", "clip"):
            write_json(root / name / "config.json", name)
        write_text(root / "kept.txt", "a ring\n")
        write_text(root / "blocked.jsonl", "")
        for folder, names in (("concepts", "abc"), ("domains", "de")):
            for name in names:
                write_text(root / folder / name / "1.txt", name)
                write_text(root / folder / f"{name}.yaml", 'novel: ["a [V] on red"]\n')
        models = "".join(f"  {name}: {root / name}\n" for name in ("base", "vlm", "dino", "clip"))
        write_text(
            root / "params.yaml",
            f"models:\n  family: z-image\n{models}ingest: {{source: ''}}\ntrain: {{iterations: 4}}\n"
            f"evaluate: {{novel: '', retention: {root / 'kept.txt'}}}\n"
            "compare: {concepts: concepts, domains: domains}\n",
        )

    def prepare(self, folder: Path) -> None:
        for place in PREPARED:
            write_json(folder / PLACES[place] / "there.json", folder.name)
        write_text(folder / PLACES["embeddings"] / "entries" / "1.safetensors", "")
        write_json(folder / "concept.json", {"identity": "any", "seconds": {"embed": 2.0}})

    def work(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            if not finished(folder):
                self.scored.append(folder.name)
                write_text(folder / PLACES["scores"] / "rows.csv", self.rows(folder).to_csv(index=False))
                finish(folder, train_seconds=1.5, evaluate_seconds=0.5)

    def rows(self, folder: Path) -> pd.DataFrame:
        train, far = load(folder).train, float(ord(folder.parent.name))
        gained = {"base": 0.0, "adapter": 1 - 1 / train.iterations}
        return pd.DataFrame(
            {"model": model, "metric": metric, "prompt": "p", "seed": 0, "value": far + gain * share}
            for model, gain in gained.items()
            for metric, share in METRICS.items()
        )

    def judge(self, case: Case) -> None:
        stops = [0, *(load(folder).train.iterations for folder in case.folders)]
        rows = [
            {"iterations": stop, "image": image, "prompt": "p", "seed": 0, "value": float(stop)}
            for stop in stops
            for image in ("right", "wrong", "none")
        ]
        write_text(case.folders[-1] / VALUES, pd.DataFrame(rows).to_csv(index=False))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(comparison, "_pool", ThreadPoolExecutor)
    monkeypatch.setattr(comparison, "prepare", made.prepare)
    monkeypatch.setattr(comparison, "work", made.work)
    monkeypatch.setattr(comparison.referee, "judge", made.judge)
    return made


def asked(*options: str) -> Any:
    small = ["--concepts", "2", "--tuning-concepts", "1", "--domains", "1", "--seeds", "1", "--stops", "2,4"]
    return CliRunner().invoke(app, ["--out", "report", "--workers", "1", *small, *options])


def test_all_tables_come_of_one_command_and_nothing_is_done_twice(bench: Bench) -> None:
    options = ["--tables", ",".join(get_args(Table)), "--methods", "dopsd,sft", "--rates", "1e-4", "--vary", "rank=8"]
    assert asked(*options).exit_code == 0
    page = (bench.root / "report" / "report.md").read_text()
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert len(headings) == len(set(headings)) == len(get_args(Table))
    assert all((bench.root / "report" / f"{table}.csv").is_file() for table in get_args(Table))
    of_concepts, of_domains = 2 * (4 * 2 + 4 * 2 + 2), 2
    assert len(bench.scored) == of_concepts + of_domains
    assert asked(*options).exit_code == 0
    assert len(bench.scored) == of_concepts + of_domains


def test_rates_are_chosen_on_concepts_that_are_not_in_the_table(bench: Bench) -> None:
    assert asked("--tables", "lora", "--methods", "sft", "--rates", "1e-4,1e-3").exit_code == 0
    assert sorted(bench.scored) == ["sft-lora-0.0001-0-4"] * 3 + ["sft-lora-0.001-0-4"]
    assert set(pd.read_csv(bench.root / "report" / "lora.csv")["concept"]) == {"b", "c"}
    assert "1 concepts that are not in the tables" in (bench.root / "report" / "lora.md").read_text()


def test_a_variant_is_told_from_the_same_method_as_params_have_it(bench: Bench) -> None:
    options = ["--tables", "variants,cost", "--methods", "sft", "--vary", "rank=8", "--vary", "targets=to_q,to_k"]
    assert asked(*options, "--rates", "1e-4").exit_code == 0
    assert set(bench.scored) == {f"sft-lora-0.0001-{part}0-4" for part in ("", "rank=8-", "targets=to_q-to_k-")}
    rows = {"base", "sft", "sft, rank=8", "sft, targets=to_q,to_k"}
    assert set(pd.read_csv(bench.root / "report" / "variants.csv")["method"]) == rows
    assert set(pd.read_csv(bench.root / "report" / "cost.csv")["method"]) == rows - {"base"}


def test_two_stages_cost_the_parents_training_and_its_distillation(bench: Bench) -> None:
    options = ["--tables", "cost", "--methods", "sft-parent", "--rates", "1e-4", "--second-stage", "5,6,7"]
    assert asked(*options).exit_code == 0
    one = 4 * 4  # iterations of four pictures, each forward and backward once
    rows = {
        row.split(" | ")[0]: row.split(" | ")[4:8] for row in (bench.root / "report/cost.md").read_text().split("\n")
    }
    assert rows["| sft-parent"] == ["0", f"{one}", f"{one}", f"{3 * one}"]
    assert rows["| sft-parent, distilled again"] == ["5", f"{one + 6}", f"{one + 7}", f"{3 * one + 25}"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tables", "lora,tables"], "--tables: there is no 'tables'"),
        (["--methods", "magic"], "--methods: there is no 'magic'"),
        (["--concepts", "9"], "holds 3 concepts, 10 are needed"),
        (["--tables", "lora", "--vary", "rank=8"], "--vary and the table `variants` go together"),
        (["--tables", "variants"], "--vary and the table `variants` go together"),
        (["--tables", "variants", "--vary", "num_states=9"], "--vary num_states=9: num_states is 9"),
        (["--second-stage", "5,6,7"], "--second-stage is a row of the table `cost` beside sft-parent"),
        (["--second-stage", "5"], "'5' are no evaluations: give three counts"),
    ],
)
def test_what_cannot_be_asked_is_told_before_anything_runs(bench: Bench, options: list[str], said: str) -> None:
    found = asked(*options)
    assert found.exit_code == 1
    assert said in found.stderr.replace("\n", " ")
    assert bench.scored == []
