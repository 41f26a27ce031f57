"""One stage runs in a room of its own: it is whole or it did not happen, and mistakes are told."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks import weak_teacher
from tasks.__main__ import main
from tasks.folders import write_json
from tasks.params import Params
from tasks.pipeline import Room, stage
from tasks.planning import fingerprint
from tasks.runner import history, only_writer, run
from tests.fake_workspace import FakeWorkspace, body

Body = Callable[[Params, Room], None]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWorkspace:
    monkeypatch.chdir(tmp_path)
    return FakeWorkspace.at(tmp_path)


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Body], None]:
    """Put a cheap body in the place of a stage's own."""
    return lambda name, work: monkeypatch.setitem(sys.modules, f"tasks.{name}", SimpleNamespace(run=work))


def test_a_stage_writes_beside_its_place_and_is_moved_in(
    workspace: FakeWorkspace, pretend: Callable[..., None]
) -> None:
    seen: list[bool] = []

    def work(params: Params, room: Room) -> None:
        seen.append((workspace.root / "data/images").exists())
        (room.writes["images"] / "x").write_text(params.ingest.source)

    pretend("ingest", work)
    run(stage("ingest"), workspace.root)
    assert seen == [False]
    assert (workspace.root / "data/images/x").read_text() == "photos"
    assert not any((workspace.root / "data/.staged").iterdir())


def test_a_stage_that_fails_leaves_what_was_there(workspace: FakeWorkspace, pretend: Callable[..., None]) -> None:
    pretend("ingest", body("ingest"))
    run(stage("ingest"), workspace.root)
    before = (workspace.root / "data/images/images.json").read_bytes()

    def work(params: Params, room: Room) -> None:
        (room.writes["images"] / "half").write_text("half")
        raise ValueError("this went wrong")

    pretend("ingest", work)
    with pytest.raises(ValueError, match="this went wrong"):
        run(stage("ingest"), workspace.root)
    assert [path.name for path in (workspace.root / "data/images").iterdir()] == ["images.json"]
    assert (workspace.root / "data/images/images.json").read_bytes() == before
    assert [row["stage"] for row in history(workspace.root)] == ["ingest"]


def test_a_stage_that_is_killed_leaves_what_was_there(workspace: FakeWorkspace) -> None:
    script = (
        "import sys, time; from types import SimpleNamespace; from pathlib import Path\n"
        "def work(params, room):\n"
        "    (room.writes['images'] / 'half').write_text('half'); Path('begun').touch(); time.sleep(60)\n"
        "sys.modules['tasks.ingest'] = SimpleNamespace(run=work)\n"
        "from tasks.__main__ import main; main(['run', 'ingest'])\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=workspace.root) as child:
        while not (workspace.root / "begun").exists():
            time.sleep(0.05)
        os.kill(child.pid, signal.SIGKILL)
    assert not (workspace.root / "data/images").exists()
    assert history(workspace.root) == []


def test_the_next_run_clears_what_a_killed_one_left(workspace: FakeWorkspace, pretend: Callable[..., None]) -> None:
    left = workspace.root / "data/.staged/ingest/images/half"
    left.parent.mkdir(parents=True)
    left.touch()
    pretend("ingest", body("ingest"))
    run(stage("ingest"), workspace.root)
    assert not left.exists()
    assert [path.name for path in (workspace.root / "data/images").iterdir()] == ["images.json"]


def test_params_that_change_while_a_stage_runs_are_not_recorded_as_its_own(
    workspace: FakeWorkspace, pretend: Callable[..., None]
) -> None:
    pretend("ingest", lambda params, room: workspace.change("ingest.min_side_px", 99))
    with pytest.raises(ValueError, match=r"params.yaml changed while ingest ran; .* run it again"):
        run(stage("ingest"), workspace.root)
    assert not (workspace.root / "data/images").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("caption", "caption needs data/images: run the earlier stages with `dopsd run`"),
        ("ingest", "ingest needs photos: put your images there, or their folder into params.yaml as ingest.source"),
    ],
)
def test_what_is_missing_is_named_with_its_mend(
    workspace: FakeWorkspace, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    (workspace.root / "photos/a.png").unlink()
    (workspace.root / "photos").rmdir()
    assert main(["run", name]) == 1
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told
    assert "Traceback" in (workspace.root / "runs" / name / "error.txt").read_text()


def test_a_full_disk_is_told_in_a_message(
    workspace: FakeWorkspace, pretend: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def work(params: Params, room: Room) -> None:
        Path("/dev/full").write_text("x" * 10_000)

    pretend("ingest", work)
    assert main(["run", "ingest"]) == 1
    assert "the disk is full; free some space and run again" in capsys.readouterr().err


def test_a_fault_of_ours_is_not_hidden(workspace: FakeWorkspace, pretend: Callable[..., None]) -> None:
    def work(params: Params, room: Room) -> None:
        raise KeyError("a fault")

    pretend("ingest", work)
    with pytest.raises(KeyError, match="a fault"):
        main(["run", "ingest"])


def test_training_is_refused_under_a_weak_teacher_until_a_person_accepts_this_very_report(
    workspace: FakeWorkspace, pretend: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    pretend("train", body("train"))
    (workspace.root / "data/embeddings").mkdir(parents=True)
    probe = workspace.root / "data/probe"
    write_json(probe / "probe.json", {"is_teacher_better": False})
    assert main(["run", "train"]) == weak_teacher.EXIT_CODE == 4
    assert "dopsd run --accept-weak-teacher" in capsys.readouterr().err
    weak_teacher.accept(probe, workspace.root / "runs")
    assert main(["run", "train"]) == 0
    write_json(probe / "probe.json", {"is_teacher_better": False, "note": "another report"})
    assert main(["run", "train"]) == weak_teacher.EXIT_CODE
    write_json(probe / "probe.json", {"is_teacher_better": False, "accepted_weak": True})
    assert main(["run", "train"]) == 0


def test_a_method_without_a_teacher_does_not_mind_a_weak_one(
    workspace: FakeWorkspace, pretend: Callable[..., None]
) -> None:
    pretend("train", body("train"))
    workspace.change("train.method", "sft")
    (workspace.root / "data/embeddings").mkdir(parents=True)
    write_json(workspace.root / "data/probe" / "probe.json", {"is_teacher_better": False})
    assert main(["run", "train"]) == 0


def test_a_version_to_train_on_from_is_asked_for_where_it_is_missing(
    workspace: FakeWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.change("train.parent", "v3")
    for place in ("data/images", "data/embeddings"):
        (workspace.root / place).mkdir(parents=True)
    assert main(["run", "probe"]) == 1
    assert "fetch it from the registry with `python -m tasks parent v3`" in capsys.readouterr().err


def test_one_run_at_a_time_holds_a_workspace(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = "from pathlib import Path; from tasks.runner import only_writer\n"
    script += "with only_writer(Path()): print(Path('ended').exists())\n"
    with only_writer(tmp_path):
        other = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        while f"waiting for the run that is at work in {tmp_path}" not in capfd.readouterr().err:
            time.sleep(0.05)
        (tmp_path / "ended").touch()
    assert other.communicate()[0] == "True\n"


def test_the_table_and_the_params_can_be_seen(workspace: FakeWorkspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr().out.splitlines()[5].split()[:2] == ["train", "gpu"]
    assert main(["params"]) == 0
    assert json.loads(capsys.readouterr().out)["train"]["learning_rate"] == 0.001


def test_code_that_is_digested_anew_while_a_stage_runs_throws_away_what_the_old_code_made(
    workspace: FakeWorkspace, pretend: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(params: Params, room: Room) -> None:
        workspace.code("ingest", "otherwise")
        fingerprint.main()

    fingerprint.main()
    pretend("ingest", work)
    monkeypatch.setenv("DVC_STAGE", "ingest")
    with pytest.raises(ValueError, match=r"data/code.json changed while ingest ran; .* run it again"):
        run(stage("ingest"), workspace.root)
    assert not (workspace.root / "data/images").exists()


def test_a_stage_that_dvc_started_ends_when_dvc_is_killed(workspace: FakeWorkspace) -> None:
    fingerprint.main()
    (workspace.root / "slow.py").write_text(
        "import os, sys, time; from types import SimpleNamespace; from pathlib import Path\n"
        "def work(params, room):\n"
        "    Path('pid').write_text(str(os.getpid())); time.sleep(60)\n"
        "sys.modules['tasks.ingest'] = SimpleNamespace(run=work)\n"
        "from tasks.__main__ import main; main(['run', 'ingest'])\n"
    )
    starter = f"import subprocess; subprocess.run(['{sys.executable}', 'slow.py'])"
    with subprocess.Popen(
        [sys.executable, "-c", starter], cwd=workspace.root, env=os.environ | {"DVC_STAGE": "ingest"}
    ) as child:
        while not (workspace.root / "pid").exists() or not (workspace.root / "pid").read_text():
            time.sleep(0.05)
        os.kill(child.pid, signal.SIGKILL)
    stage_pid = int((workspace.root / "pid").read_text())
    for _ in range(200):
        if not Path(f"/proc/{stage_pid}").exists() or "Z" in Path(f"/proc/{stage_pid}/stat").read_text().split()[2]:
            return
        time.sleep(0.05)
    pytest.fail("the stage lives on")
