"""A cell is what it trains, whoever asked for it; nothing is trained twice, and a longer training begins where a
shorter one ended."""

from pathlib import Path
from typing import Any

import pytest

from dopsd.recipe import Training
from tasks.comparison import work
from tasks.comparison.cells import Cell, grid, series
from tasks.comparison.concepts import Concept
from tasks.comparison.question import TEACHERS, Question
from tasks.comparison.workspaces import PREPARED, finished, lay_out, lay_out_concept
from tasks.folders import read_json, write_json
from tasks.params import Params, load, parse
from tasks.pipeline import PLACES

STAR = Concept("star", Path("star"), "star", ("a [V] on red",))
RATES = {"dopsd": 1e-4, "sft": 3e-4, "sft-teacher": 1e-4, "offpolicy": 1e-4}


def question(**changes: Any) -> Question:
    said = {
        "tables": ["lora"], "methods": ["dopsd", "sft"], "rates": [1e-4, 3e-4], "seeds": 3, "stops": [10, 40],
        "training": Training(iterations=40), "tuning_concepts": [STAR], "concepts": [STAR],
    }  # fmt: skip
    return Question(**(said | changes))


def test_a_table_has_every_concept_method_and_seed_once() -> None:
    cells = question(concepts=[STAR, Concept("ring", Path(), "ring", ("[V]",))]).cells("lora", RATES)
    assert len(cells) == len(set(cells)) == 2 * 2 * 3
    assert len({cell.folder(Path()) for cell in cells}) == len(cells)
    assert Cell("star", Training(method="sft", learning_rate=3e-4, seed=2, iterations=40)) in cells


def test_the_referee_needs_another_concept() -> None:
    with pytest.raises(ValueError, match="--concepts 1 leaves the referee no other concept"):
        question(tables=["referee"]).about([STAR, STAR], 1)


def test_tables_share_the_cells_that_are_the_same() -> None:
    asked = question()
    methods, curves, teachers = (set(asked.cells(table, RATES)) for table in ("lora", "curves", "teachers"))
    assert methods <= curves
    assert set(asked.cells("cost", RATES)) == methods
    assert set(asked.cells("referee", RATES)) == {cell for cell in curves if cell.training.method == "dopsd"}
    assert {cell for cell in curves if cell.training.method == "dopsd"} <= teachers
    assert len({cell.teacher for cell in teachers}) == len(TEACHERS)


def test_every_method_of_every_table_is_swept_with_the_same_budget() -> None:
    swept = question(tables=["lora", "curves"]).sweep()
    tried = [cell.training.method for cell in swept]
    assert {method: tried.count(method) for method in tried} == dict.fromkeys(RATES, 2)
    assert question(rates=[1e-4]).sweep() == []


def test_a_series_is_one_training_in_the_order_of_time() -> None:
    cells = grid(["star", "ring"], [Training(iterations=stop, seed=seed) for stop in (8, 2) for seed in (0, 1)])
    found = series([*cells, *cells])
    assert len(found) == 4
    assert all([cell.training.iterations for cell in some] == [2, 8] for some in found)


class Bench:
    """Workspaces whose training counts, and whose evaluation notes how far training had counted."""

    def __init__(self, root: Path) -> None:
        self.root, self.trained = root, 0
        for name in ("base", "vlm", "dino", "clip", "star"):
            write_json(root / name / "config.json", name)
        (root / "kept.txt").write_text("a ring\n")
        shared = lay_out_concept(self.concept(), self.params(), root)
        for place in PREPARED:
            write_json(shared / PLACES[place] / "probe.json", {"is_teacher_better": False})

    def params(self) -> Params:
        models = {name: str(self.root / name) for name in ("base", "vlm", "dino", "clip")}
        said = {"novel": "", "retention": str(self.root / "kept.txt")}
        return parse({"models": models | {"family": "z-image"}, "ingest": {"source": ""}, "evaluate": said})

    def concept(self) -> Concept:
        return Concept("star", self.root / "star", "star", ("a [V]",))

    def folders(self, *stops: int) -> list[Path]:
        cells = [Cell("star", Training(iterations=stop)) for stop in stops]
        return [lay_out(cell, self.concept(), self.params(), self.root) for cell in cells]

    def seconds(self, name: str, folder: Path) -> float:
        return self.train(folder) if name == "train" else self.evaluate(folder)

    def train(self, folder: Path) -> float:
        state = folder / "runs" / "train" / "position.json"
        begun, wanted = read_json(state) if state.exists() else 0, load(folder).train.iterations
        assert begun <= wanted
        write_json(state, wanted)
        self.trained += wanted - begun
        return float(wanted - begun)

    def evaluate(self, folder: Path) -> float:
        write_json(folder / "seen.json", read_json(folder / "runs" / "train" / "position.json"))
        return 0.5


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)
    monkeypatch.setattr(work, "_seconds", made.seconds)
    return made


def test_a_longer_training_begins_where_a_shorter_one_ended(bench: Bench) -> None:
    folders = bench.folders(2, 4, 8)
    work.work(folders)
    assert bench.trained == 8
    assert [read_json(folder / "seen.json") for folder in folders] == [2, 4, 8]
    assert [record.train_seconds for folder in folders if (record := finished(folder))] == [2.0, 4.0, 8.0]


def test_nothing_is_trained_twice_and_a_moment_in_between_is_found(bench: Bench) -> None:
    work.work(bench.folders(2, 8))
    work.work(bench.folders(2, 8))
    assert bench.trained == 8
    work.work(bench.folders(2, 6, 8))
    assert bench.trained == 8 + 4


def test_a_cell_whose_concept_changed_is_not_finished(bench: Bench) -> None:
    folders = bench.folders(2)
    work.work(folders)
    assert finished(folders[0])
    write_json(bench.root / "concepts" / "star" / PLACES["images"] / "new.json", 1)
    assert finished(folders[0]) is None
