"""Rounds go on from what the gate, or the arm, lets them; a table says of every concept what came of it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

import flows.commands.rounds as command
import flows.commands.run
from tasks.folders import read_json, write_json, write_rows, write_text
from tasks.git import said
from tasks.params import load
from tasks.pipeline import PLACES

CONCEPTS = ("a-star", "b-ring", "c-moon")
app = typer.Typer()
app.command()(command.rounds)


class Bench:
    """Rounds that are done in no time: the second is rejected, and every round forgets a tenth of all before it."""

    def __init__(self, root: Path) -> None:
        self.root, self.did = root, list[tuple[str, str, str]]()
        for name in CONCEPTS:
            write_text(root / "concepts" / name / "1.txt", f"a [V] {name[2:]}\n")
            write_text(root / "concepts" / f"{name}.yaml", f'class_noun: {name[2:]}\nnovel: ["a [V] on red"]\n')
        write_text(root / "retention.txt", "a cat\n")
        write_text(root / "blocked.jsonl", "")
        write_text(root / ".gitignore", "/report/\n")
        write_text(
            root / "params.yaml",
            'models: {family: z-image, base: "", vlm: "", dino: "", clip: ""}\ningest: {source: photos}\n'
            'caption: {placeholder: "[V]"}\ntrain: {parent: base}\nreplay: {share: 0.5}\n'
            "evaluate: {novel: novel.txt, retention: retention.txt}\ncompare: {concepts: concepts}\n",
        )
        said(root, "init", "--quiet")
        said(root, "add", ".")
        said(root, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--message", "one")
        said(root, "tag", "model/dopsd/v1")

    def run(self, root: Path, parent: str) -> None:
        """Stand in for `dopsd run --parent`: the panels are real, the numbers follow from the number of the round."""
        assert said(root, "tag") == "", "versions of the project are none of this registry"
        params, scores = load(root), root / PLACES["scores"]
        number = int(params.caption.placeholder[2:-1])
        self.did.append((root.name, params.caption.placeholder, parent))
        caption = (root / params.ingest.source / "1.txt").read_text()
        assert caption.strip() == f"a [V{number}] {params.evaluate.class_noun}"
        asked = {"concept": [caption.strip()], "earlier": [self.panel(root / one) for one in params.evaluate.earlier]}
        write_rows(scores / "panel" / "panel.jsonl", [{"text": caption.strip(), "target": "1.png"}], key="text")
        models = ("base", "adapter") if parent == "base" else ("base", "parent", "adapter")
        values = {"base": 1.0, "parent": 0.8 + number / 10, "adapter": 0.9 if number == 1 else 0.5 + number / 10}
        rows = [
            (model, f"{panel}/dino_d@x", text, 0, values[model])
            for model in models
            for panel, some in asked.items()
            for text in some
        ]
        write_text(
            scores / "rows.csv",
            pd.DataFrame(rows, columns=["model", "metric", "prompt", "seed", "value"]).to_csv(index=False),
        )
        kept = {"retention/clip_s@x": {"mean": -0.01 * number, "low": -0.02 * number, "high": 0.0, "count": 8}}
        write_json(scores / "scores.json", {"differences": {"base": kept}})
        write_json(root / PLACES["version"] / "version.json", self.version(number))

    def panel(self, folder: Path) -> str:
        return str(pd.read_json(folder / "panel.jsonl", lines=True)["text"][0])

    def version(self, number: int) -> Mapping[str, Any]:
        reasons = [{"outcome": "failed", "sentence": "retention failed against base: -1"}] if number == 2 else []
        return {"version": f"v{number}", "verdict": "REJECT" if number == 2 else "PROMOTE", "reasons": reasons}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "_run", made.run)
    return made


def asked(*options: str) -> Any:
    result = CliRunner().invoke(app, ["--out", "report", *options])
    assert result.exit_code == 0, result.output
    return pd.read_csv("report/rounds.csv").set_index(["arm", "round", "concept"])


def test_a_round_starts_from_the_champion_and_without_the_gate_from_the_one_before(bench: Bench) -> None:
    frame = asked("--concepts", "3", "--arms", "gated,naive")
    assert bench.did == [
        ("gated", "[V1]", "base"), ("gated", "[V2]", "v1"), ("gated", "[V3]", "v1"),
        ("naive", "[V1]", "base"), ("naive", "[V2]", "v1"), ("naive", "[V3]", "v2"),
    ]  # fmt: skip
    assert [load(bench.root / "report" / arm).replay.share for arm in ("gated", "naive")] == [0.5, 0.0]
    assert list(frame.loc[("gated", 3)].index) == ["a-star", "c-moon"]  # nobody learnt the ring
    assert list(frame.loc[("naive", 3)].index) == list(CONCEPTS)


def test_what_is_forgotten_counts_from_the_round_that_learnt_it_in_the_model_that_goes_on(bench: Bench) -> None:
    frame = asked("--concepts", "3", "--arms", "gated")
    star = frame.loc[("gated", slice(None), "a-star"), :]
    assert list(star["standing"]) == pytest.approx([0.9, 1.0, 0.8])  # the parent's in the round that was rejected
    assert list(star["forgotten"]) == pytest.approx([0.0, 0.1, -0.1])
    ring = frame.loc[("gated", 2, "b-ring")]
    assert pd.isna(ring["learnt_in"])
    assert pd.isna(ring["forgotten"])
    page = Path("report/report.md").read_text()
    assert "| 2 | b-ring | v1 | v2 | REJECT | -0.300 | +0.100 | -0.020 [-0.040, +0.000] | retention failed" in page
    assert Path("report/rounds.png").read_bytes()[1:4] == b"PNG"


def test_what_is_finished_is_not_done_again_and_more_rounds_follow(bench: Bench) -> None:
    asked("--concepts", "1", "--arms", "gated")
    assert len(asked("--concepts", "2", "--arms", "gated")) == 3
    asked("--concepts", "2", "--arms", "gated")
    assert [placeholder for _, placeholder, _ in bench.did] == ["[V1]", "[V2]"]
    kept = read_json(bench.root / "report/gated/rounds/01-a-star/round.json")
    assert (kept["parent"], kept["version"], kept["reasons"]) == ("base", "v1", [])


def test_a_round_that_fails_is_told_with_the_folder_that_it_failed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, went = Path.cwd(), list[tuple[Path, str]]()

    def run(*, parent: str, accept_weak_teacher: bool) -> None:
        went.append((Path.cwd(), parent))
        sys.exit(int(not accept_weak_teacher or parent == "v1"))

    monkeypatch.setattr(flows.commands.run, "run", run)
    command._run(tmp_path, "base")
    with pytest.raises(ValueError, match=f"the round in {tmp_path} did not end well"):
        command._run(tmp_path, "v1")
    assert went == [(tmp_path, "base"), (tmp_path, "v1")]
    assert Path.cwd() == here


def test_an_arm_that_is_none_is_told(bench: Bench) -> None:
    result = CliRunner().invoke(app, ["--out", "report", "--arms", "gated,magic"])
    assert result.exit_code == 1
    assert "--arms: there is no 'magic'" in result.stderr
    assert bench.did == []
