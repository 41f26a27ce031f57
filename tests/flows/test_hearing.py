"""Images that other systems offer by an event of a real Prefect server: a run learns them; what is no offer is told."""

import math
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prefect.events.schemas.events import Event
from typer.testing import CliRunner

from flows.asking import server
from flows.cli import app
from flows.hearing import heard
from tasks.folders import read_json
from tasks.triggers.events import Refused
from tasks.triggers.journal import TRIGGERS
from tasks.triggers.sources.offers import Heard, Offers
from tests.watched import Place, png

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
BAD: tuple[dict[str, Any], ...] = (
    {},
    {"images": "photos", "datset": "cats"},
    {"images": "photos", "dataset": "../up"},
    {"images": 3},
    {"images": "no/such"},
    {"images": "source/new"},
    {"images": "s4://bucket/photos"},
    {"images": "s3://key:secret@bucket/photos"},
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path)


def send(name: str, *payloads: dict[str, Any]) -> None:
    said = [Event(event=name, resource={"prefect.resource.id": "warehouse"}, payload=payload) for payload in payloads]
    with server() as client:
        client.request("POST", "/events", json=[one.model_dump(mode="json") for one in said]).raise_for_status()


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.1)


def offers(name: str, place: Place) -> Offers:
    return Offers(partial(heard, name), place.root / "offers.json", Path("source"))


def test_the_command_of_the_page_offers_images_that_the_next_run_learns(prefect: str, place: Place) -> None:
    place.put("a.png", png(1))
    place.put("deep/a.txt", b"of another")
    (line,) = (line.strip() for line in PAGE.read_text().splitlines() if line.startswith("    prefect event "))
    line = line.replace("s3://bucket/photos", str(place.root / "inbox"))
    asked = os.environ | {"PREFECT_API_URL": prefect}
    subprocess.run([sys.executable, "-m", *shlex.split(line)], check=True, capture_output=True, env=asked)
    source = offers("dopsd.images-offered", place)
    until(lambda: len(source.marks()) == 2)
    with place.watched(source=source) as watch:
        watch.turn(place.now())
    (event,) = heard("dopsd.images-offered", place.now().replace(year=2020))
    assert place.admitted() == {f"offered/{event.id}/a.png", f"offered/{event.id}/deep/a.txt"}
    with place.watched(source=offers("nobody.says-this", place)) as watch:  # what was heard is kept
        assert watch.turn(place.now())[0] == []
        assert len(watch.journal.state.taken) == 1


@pytest.mark.usefixtures("prefect")
def test_what_is_no_offer_is_kept_and_told_and_the_others_go_on(place: Place) -> None:
    (place.root / "photos").mkdir()
    (place.root / "photos/a.png").write_bytes(png(1))
    send("offers", *BAD, {"images": "photos", "dataset": "cats", "note": "by hand"})
    source = offers("offers", place)
    until(lambda: len(source.marks()) == len(BAD) + 1)
    with place.watched(source=source) as watch:
        happened, _ = watch.turn(place.now())
        assert watch.turn(place.now())[0] == []
    assert [path.split("/")[0] for path in place.admitted()] == ["cats"]
    refused = {event.file: event.reason for event in happened if isinstance(event, Refused)}
    reasons = "\n".join(refused.values())
    assert len(refused) == len(read_json(place.root / "offers.json")) - 1 == len(BAD)
    for said in (
        "its payload: images is missing; add it",
        "datset is no key; did you mean dataset?",
        "dataset is '../up': string should match pattern",
        "there is no folder no/such to watch: make it, or name another; mend that, or send another event",
        "source/new and ingest.source of params.yaml (source) are one folder, or within each other",
        "s4://bucket/photos cannot be watched: Protocol not known",
        "the address holds a password",
    ):
        assert said in reasons
    assert "secret" not in reasons
    (place.root / TRIGGERS).mkdir(parents=True)
    (place.root / "trigger").rename(place.root / TRIGGERS / "offered")
    listed = CliRunner().invoke(app, ["trigger", "list"])
    assert listed.stdout.splitlines()[-1].split()[:6] == ["offered", "not", "watched", "0", "1", "0"]
    assert listed.stderr.count("offered: event ") == 3


def test_an_offer_of_any_numbers_and_letters_is_kept_and_one_of_a_month_ago_is_not(place: Place) -> None:
    now = datetime.now(UTC)
    said = [Heard("a", now, {"images": math.nan, "note": "\ud800"}), Heard("b", now - timedelta(days=30), {})]
    memory = place.root / "offers.json"
    assert Offers(lambda since: said, memory, Path("source")).marks() == {"event a": "refused"}
    assert Offers(lambda since: [], memory, Path("source")).marks() == {"event a": "refused"}
