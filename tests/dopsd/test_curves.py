"""However often a training was interrupted, its curves show each iteration once."""

from pathlib import Path

from dopsd.curves import Curves, point
from dopsd.training import Record


def test_going_back_to_a_checkpoint_leaves_every_point_once(tmp_path: Path) -> None:
    undisturbed, interrupted = Curves(tmp_path / "one"), Curves(tmp_path / "two")
    for step in range(5):
        undisturbed.add(step, {"loss": step / 3})
    for step in (0, 1, 2, 3):
        interrupted.add(step, {"loss": step / 3})
    with (tmp_path / "two").open("a") as file:
        file.write('{"step": 4, "lo')
    again = Curves(tmp_path / "two")
    assert len(again) == 4
    for step in (2, 3, 4):
        again.add(step, {"loss": step / 3})
    assert Curves(tmp_path / "two").csv(5) == undisturbed.csv(5) == again.csv(5)


def test_a_shorter_training_shows_its_own_part(tmp_path: Path) -> None:
    curves = Curves(tmp_path / "curves")
    for step in range(5):
        curves.add(step, {"loss": 0.5})
    assert curves.csv(2) == "step,loss\n0,0.5\n1,0.5\n"


def test_the_gaps_of_a_record_are_numbered_by_their_step() -> None:
    record = Record(
        step=7, loss=1.0, gaps={"1": 0.1, "2": 0.2}, gradient_norm=2.0, learning_rate=1e-4, ema_distance=0.0
    )
    assert point(record) == {
        "loss": 1.0, "gradient_norm": 2.0, "learning_rate": 1e-4, "ema_distance": 0.0, "gap_1": 0.1, "gap_2": 0.2,
    }  # fmt: skip


def test_what_a_guard_found_stands_where_it_looked_and_nowhere_else(tmp_path: Path) -> None:
    curves = Curves(tmp_path / "curves")
    for step, strayed in enumerate(({}, {"divergence": 0.5})):
        curves.add(step, {"loss": 1.0} | {f"strayed_{name}": value for name, value in strayed.items()})
    assert curves.csv(2) == "step,loss,strayed_divergence\n0,1.0,\n1,1.0,0.5\n"
    record = Record(1, 1.0, {}, 1.0, 1e-4, 0.0, strayed={"divergence": 0.5})
    assert point(record)["strayed_divergence"] == 0.5
