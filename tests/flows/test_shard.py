"""What a worker makes of a shard: it fills the store of who asked, or says why not, and whether to try again."""

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dopsd.processes.termination import AskedToEnd
from flows import shard as shards
from flows.errand import PASSING
from tasks import passing
from tasks.errands.errand import Errand
from tasks.folders import read_json
from tasks.params import parse
from tests.fake_workspace import PARAMS

ASKED = Errand("embed", "key", "c0ffee", "params", {}, {}, platform.node())


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Say how the processes that fill it end, in turn: with a code, or for a reason."""
    ends: list[Any] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shards, "take_up", lambda *_: None)
    monkeypatch.setattr(shards, "load", lambda _: parse(PARAMS))

    @contextmanager
    def child(command: Sequence[str], _: object) -> Iterator[Any]:
        assert command[4:10] == ["shard", "embed", "--number", "3", "--of", "100"]
        if "--among" in command:
            assert read_json(Path(command[-1])) == {"embed": ["1", "2", "3"]}
        end = ends.pop(0)
        if isinstance(end, int):
            yield SimpleNamespace(wait=lambda: end)
            return
        passing.note(Path("runs/embed"), end)
        yield SimpleNamespace(wait=lambda: 75 if passing.may_pass(end) else 1)

    monkeypatch.setattr(shards, "child", child)
    yield ends
    assert ends == []


def ended(store: str = "runs/store", **others: str) -> tuple[str, str]:
    state = shards.shard.fn(ASKED, 3, 100, **({"store": str(Path(store).resolve())} | others))
    return str(state.name), str(state.message)


def test_what_lacks_on_another_machine_is_made_and_sent_there(
    processes: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(shards, "wanted", lambda name, _: {"latents": [f"{name[-1]}", "2"], "teacher": ["3"]})
    monkeypatch.setattr(shards, "send", lambda name, shard, _: sent.append((name, str(shard))))
    processes += [0]
    assert ended("elsewhere", parcel="parcel-1")[0] == "Completed"
    assert sent == [("parcel-1", "shard 3 of 100")]
    monkeypatch.setattr(shards, "send", lambda *_: Path("/no/such/remote").read_bytes())
    processes += [0]
    name, message = ended("elsewhere", parcel="parcel-1")
    assert (name, "was not sent: [Errno 2]" in message) == (PASSING, True)


def test_a_shard_that_gives_its_device_away_has_another_turn(processes: list[Any]) -> None:
    processes += [AskedToEnd(75), AskedToEnd(75), 0]
    assert ended() == ("Completed", f"embed, shard 3 of 100, ran on {platform.node()}")


@pytest.mark.parametrize("end", [-9, ConnectionResetError("the disk server restarts")])
def test_what_may_go_well_later_is_told_from_a_mistake(processes: list[Any], end: Any) -> None:
    processes += [end]
    assert ended()[0] == PASSING
    processes += [ValueError("no word for star-01.png")]
    name, message = ended()
    assert name == "Failed"
    assert message.endswith("embed, shard 3 of 100, failed: ValueError: no word for star-01.png")


def test_a_worker_that_does_not_share_the_store_refuses(processes: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"looks for it in .*/elsewhere: shards are for workers of the host and clone"):
        ended("elsewhere")
