"""Whoever asks for the same thing at the same time gets one execution; whoever dies holds up nobody."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from tasks.lock import held, held_if_free
from tasks.workspaces import flight as flights
from tasks.workspaces.flight import flight
from tests.fake_workspace import PARAMS


def lent(home: Path, number: int) -> Path:
    """A folder that shares what runs share with `home`, as a workspace does."""
    root = home / str(number)
    for name in ("flights", "recorded"):
        (home / "runs" / name).mkdir(parents=True, exist_ok=True)
        (root / "runs").mkdir(parents=True, exist_ok=True)
        (root / "runs" / name).symlink_to(home / "runs" / name)
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    return root


def test_five_at_once_are_one_execution_and_five_answers(tmp_path: Path) -> None:
    executed, answers, asked = [], [], time.time()
    together = threading.Barrier(5)

    def ask(root: Path) -> None:
        together.wait()
        with flight(root, "k" * 64, asked) as mine:
            if mine.landed is None:
                executed.append(root)
                time.sleep(0.1)
                mine.land("v1", is_over=True)
            answers.append(mine.landed or "v1")

    threads = [threading.Thread(target=ask, args=(lent(tmp_path, number),)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(executed), answers) == (1, ["v1"] * 5)


def test_what_landed_before_we_asked_and_what_others_asked_is_no_answer(tmp_path: Path) -> None:
    root = lent(tmp_path, 1)
    with flight(root, "a" * 64, time.time()) as mine:
        mine.land("early", is_over=True)
    with flight(root, "a" * 64, time.time()) as mine:
        assert mine.landed is None
    with flight(root, "b" * 64, 0.0) as mine:
        assert mine.landed is None


def test_the_folder_of_a_person_is_answered_by_what_was_done_in_it(tmp_path: Path) -> None:
    with flight(lent(tmp_path, 1), "a" * 64, 0.0) as mine:
        mine.land("elsewhere", is_over=True)
    with flight(tmp_path, "a" * 64, 0.0) as mine:
        assert mine.landed is None
        mine.land("here", is_over=True)
    for root in (tmp_path, lent(tmp_path, 2)):
        with flight(root, "a" * 64, 0.0) as mine:
            assert mine.landed == "here"


def test_a_flight_that_dies_leaves_its_turn_and_its_state_to_the_next(tmp_path: Path) -> None:
    roots = [lent(tmp_path, number) for number in range(2)]
    script = (
        "import os, signal, sys; from pathlib import Path; from tasks.workspaces.flight import flight\n"
        "with flight(Path(sys.argv[1]), 'a' * 64, 0.0) as mine:\n"
        "    (Path(sys.argv[1]) / 'runs/train/checkpoint').write_text('step 10')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run([sys.executable, "-c", script, str(roots[0])], check=False)
    assert died.returncode == -signal.SIGKILL
    with flight(roots[1], "a" * 64, 0.0) as mine:
        assert mine.landed is None
        assert (roots[1] / "runs/train/checkpoint").read_text() == "step 10"
        mine.land("v1", is_over=True)
    assert not (mine.folder / "train").exists()


def test_state_that_nobody_went_on_with_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with flight(lent(tmp_path, 1), "a" * 64, 0.0) as failed:
        failed.land("failed", is_over=False)
    assert (failed.folder / "train").is_dir()
    monkeypatch.setattr(flights, "_ABANDONED_S", -1)
    with flight(lent(tmp_path, 2), "b" * 64, 0.0) as mine:
        assert not (failed.folder / "train").exists()
        assert (mine.folder / "train").is_dir()  # a flight that is held is nobody's to forget


def test_a_lock_names_its_holder_and_goes_with_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lock"
    script = "import sys, time; from pathlib import Path; from tasks.lock import held\n"
    script += "with held(Path(sys.argv[1]), 'x'): print('held', flush=True); time.sleep(600)\n"
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with held_if_free(path) as is_ours:
            assert not is_ours
        threading.Timer(0.2, os.kill, (holder.pid, signal.SIGKILL)).start()
        with held(path, "the other"):
            assert path.read_text() == str(os.getpid())
        assert f"waiting for the other (process {holder.pid})" in capfd.readouterr().err


def test_a_program_that_takes_the_place_of_a_holder_holds_on(tmp_path: Path) -> None:
    second = "print('ready', flush=True); input()"
    first = (
        "import os, sys\nfrom pathlib import Path\nfrom tasks.lock import held, keep_through_exec\n"
        "with held(Path('lock')):\n"
        "    keep_through_exec()\n"
        f"    os.execv(sys.executable, [sys.executable, '-c', {second!r}])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command, pipes = [sys.executable, "-c", first], {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **pipes) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        with held_if_free(tmp_path / "lock") as is_free:
            assert not is_free
        process.communicate("\n")
    with held_if_free(tmp_path / "lock") as is_free:
        assert is_free
