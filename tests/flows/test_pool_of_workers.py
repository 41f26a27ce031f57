"""Two workers of each pool, and all that comes in a week: who asks at once, what comes meanwhile, a server that dies.

Servers, workers, git, DVC and MLflow are real, and so are the trigger and the schedule; the stages' work is cheap.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from mlflow import MlflowClient
from PIL import Image

from flows.machine import QUEUES
from tasks.pipeline import STAGES
from tasks.runner import history as executions
from tasks.triggers.events import Arrived, Ended, Event, Fired, history
from tests.fake_workspace import HANG
from tests.machines import MAIN, WHILE_S, Machines, lose_power, machines
from tests.served import until

pytestmark = pytest.mark.slow  # minutes of processes

FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
TOY = '''
import os, time
from pathlib import Path
from prefect import flow
from flows.rank import keep_rank
from tasks.devices.job import priority, seen
from tasks.devices.lease import Need

@flow(name="toy")
def toy() -> None:
    """Hold a device for a while, and write down which and when."""
    keep_rank()
    with seen(Need("toy", priority=priority())):
        begun = time.time()
        time.sleep(1)
        with (Path(__file__).parent / "held.txt").open("a") as file:
            file.write(f"{os.environ['CUDA_VISIBLE_DEVICES']} {begun} {time.time()}\\n")
'''


@dataclass(frozen=True)
class Pool:
    """Four workers at work, and what makes training wait."""

    machines: Machines
    hold: Path
    """Is there as long as a training waits; without it, training goes on."""

    def due(self, deployment: str) -> list[dict[str, Any]]:
        """List the runs of a deployment whose time has come, as the server tells of them."""
        found = self.machines.ask("flow_runs/filter", deployments={"name": {"any_": [deployment]}})
        return [run for run in found if datetime.fromisoformat(run["expected_start_time"]) <= datetime.now(UTC)]

    def ended(self, deployment: str) -> list[str]:
        """Name the states of those that have ended."""
        return sorted(run["state_name"] for run in self.due(deployment) if run["state_type"] in FINAL)

    def happened(self) -> tuple[Event, ...]:
        """Read what the trigger wrote down."""
        path = self.machines.top / "cpu/runs/triggers/new-images/events.jsonl"
        return history(path).events if path.is_file() else ()

    def drop(self, name: str) -> None:
        """Put a new picture where the trigger looks."""
        size = (512, 512)
        picture = Image.frombytes("RGB", size, random.Random(name).randbytes(3 * 512 * 512))
        picture.save(self.machines.top / "cpu/inbox" / name)

    def go_on(self) -> None:
        """Let the training that waits come to its end."""
        until(self.hold.exists, WHILE_S)
        self.hold.unlink()


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """Begin with both pools paused, so that who asks before they go on has asked at once."""
    with machines(tmp_path_factory.mktemp("pool")) as made:
        lent = Pool(made, made.top / "training")
        for name in ("cpu", "gpu"):
            made.typed("cpu", "prefect", "work-pool", "pause", name)
            for _ in range(2):
                made.worker(name, "--limit", "1", **{HANG: f"tracked:{lent.hold}"})
        yield lent


@pytest.fixture(scope="module")
def story(pool: Pool) -> Pool:
    """Let a schedule, a person and a trigger ask at once; while it trains, a picture comes and the server dies."""
    made = pool.machines
    (made.top / "cpu/inbox").mkdir()
    (made.top / "cpu/triggers").mkdir()
    (made.top / "cpu/triggers/new-images.yaml").write_text("min_new_images: 1\nquiet_for: 1s\ncooldown: 0\n")
    watched = ("trigger", "watch", "inbox", "--policy", "triggers/new-images.yaml", "--every", "1s")
    made.begin("cpu", "python", "-m", "flows.cli", *watched)
    pool.drop("first.png")
    made.typed("cpu", "prefect", "deployment", "run", MAIN)
    tick = datetime.now(UTC) + timedelta(minutes=2)
    nightly = ("--cron", f"{tick.minute} {tick.hour} * * *", "--timezone", "UTC")
    made.typed("cpu", "prefect", "deployment", "schedule", "create", MAIN, *nightly)
    until(lambda: len(pool.due("continual-tuning")) == 3)
    for name in ("cpu", "gpu"):
        made.typed("cpu", "prefect", "work-pool", "resume", name)
    until(pool.hold.exists, WHILE_S)
    pool.drop("second.png")
    until(lambda: len([event for event in pool.happened() if isinstance(event, Arrived)]) == 2)
    lose_power(made.serving["prefect"])
    made.serve("prefect")
    pool.go_on()
    pool.go_on()  # what came meanwhile
    until(lambda: len([event for event in pool.happened() if isinstance(event, Ended)]) == 2, WHILE_S)
    until(lambda: len(pool.ended("continual-tuning")) == 4, WHILE_S)
    return pool


def test_a_schedule_a_trigger_and_a_person_who_ask_at_once_are_answered_by_one_execution(story: Pool) -> None:
    assert sorted(run["auto_scheduled"] for run in story.due("continual-tuning")) == [False, False, False, True]
    assert story.ended("continual-tuning") == ["Completed", "Completed", "Joined", "Joined"]
    ran = Counter(row["stage"] for name in ("cpu", "gpu") for row in executions(story.machines.top / name))
    assert ran == {row.name: 2 for row in STAGES}  # once for the three, and once for what came meanwhile
    store = MlflowClient(story.machines.servers.mlflow)
    runs = store.search_runs([row.experiment_id for row in store.search_experiments()])
    assert [run.info.status for run in runs] == ["FINISHED"] * 2
    trained = [version.run_id for version in store.search_model_versions() if version.run_id]  # the base has no run
    assert sorted(trained) == sorted(run.info.run_id for run in runs)


def test_what_comes_while_a_run_trains_is_in_the_next_run_and_in_no_other(story: Pool) -> None:
    arrived = [event.file for event in story.happened() if isinstance(event, Arrived)]
    assert arrived == ["first.png", "second.png"]
    fired = [event for event in story.happened() if isinstance(event, Fired)]
    assert [len(event.images) for event in fired] == [1, 1]
    assert set(fired[0].images).isdisjoint(fired[1].images)
    assert [event.outcome for event in story.happened() if isinstance(event, Ended)] == ["completed"] * 2


def test_twenty_runs_on_two_devices_never_share_one_and_the_urgent_have_their_turn_first(pool: Pool) -> None:
    made, ranks = pool.machines, list(QUEUES)
    (made.top / "toy").mkdir()
    (made.top / "toy/toy.py").write_text(TOY)
    toy = {"name": "toy", "entrypoint": "toy.py:toy", "work_pool": {"name": "gpu"}}
    (made.top / "toy/prefect.yaml").write_text(yaml.safe_dump({"deployments": [toy]}))
    made.typed("toy", "prefect", "--no-prompt", "deploy", "--all")
    made.typed("toy", "prefect", "work-pool", "pause", "gpu")
    (deployment,) = made.ask("deployments/filter", deployments={"name": {"any_": ["toy"]}})
    wanted = random.Random(0).sample([ranks[number % 3] for number in range(20)], 20)
    for number, rank in enumerate(wanted):
        said = {"name": rank, "work_queue_name": rank, "idempotency_key": str(number)}
        made.ask(f"deployments/{deployment['id']}/create_flow_run", **said)
    made.typed("toy", "prefect", "work-pool", "resume", "gpu")
    until(lambda: len(pool.ended("toy")) == len(wanted), WHILE_S)
    assert pool.ended("toy") == ["Completed"] * len(wanted)
    taken = sorted((_taken(made, run["id"]), ranks.index(run["name"])) for run in pool.due("toy"))
    assert [rank for _, rank in taken] == sorted(rank for _, rank in taken)
    held = [line.split() for line in (made.top / "toy/held.txt").read_text().splitlines()]
    assert {device for device, *_ in held} == {"fake-0", "fake-1"}
    for name in ("fake-0", "fake-1"):
        spans = sorted((float(begun), float(ended)) for device, begun, ended in held if device == name)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


def _taken(made: Machines, run: str) -> str:
    """Say when a worker took a run from its queue."""
    with urlopen(f"{made.servers.api}/flow_run_states/?flow_run_id={run}", timeout=60) as answer:
        return min(str(state["timestamp"]) for state in json.load(answer) if state["type"] == "PENDING")
