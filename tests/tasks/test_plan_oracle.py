"""What the plan promises is what happens: whatever changed, alone or with another change, DVC agrees with every row.

A row of RUN ran, a row of CACHED did not, a row of MAYBE may have; and `dvc status` names the same
stages, and those that read what is missing.
"""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks import pipeline
from tasks.pipeline import stage
from tasks.planning.code_record import refresh
from tasks.planning.plan import Plan, plan
from tasks.planning.row import Decision
from tests.fake_workspace import FakeWorkspace
from tests.tasks.oracle import MUTATIONS, World, settled

SAMPLED, ALL_PAIRS = 2, 200
NOTHING = {
    "nothing", "comment edited", "docstring edited", "helper edited that nobody calls", "store entry corrupted",
    "store entry deleted",
}  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> FakeWorkspace:
    """A workspace in which all stages ran once."""
    workspace = FakeWorkspace.at(tmp_path_factory.mktemp("done"))
    for name in "bcd":
        workspace.write(f"photos/{name}.png", name)
    world = World(workspace, random.Random(0))
    with settled(world):
        assert len(world.run()) == 7
    return workspace


@pytest.fixture
def world(done: FakeWorkspace, tmp_path: Path) -> Iterator[World]:
    shutil.copytree(done.root, tmp_path, dirs_exist_ok=True, symlinks=True)
    world = World(FakeWorkspace(tmp_path), random.Random(1))
    with settled(world):
        yield world


def keeps_its_promise(world: World) -> Plan:
    """Plan, ask DVC, run, and compare."""
    promised = plan(world.root)
    rows = {row.name: row for row in promised.rows}
    refresh(world.root)
    named = world.status()
    ran = set(world.run())
    busy = {name for name, row in rows.items() if not row.is_idle}
    sure = {name for name, row in rows.items() if row.decision is Decision.RUN}
    may = {name for name, row in rows.items() if row.decision is Decision.MAYBE}
    told = f"\npromised {promised.rows}\nDVC named {sorted(named)}\nran {sorted(ran)}"
    assert sure <= ran <= sure | may, told
    assert named <= busy | readers_of(busy), told  # DVC also names a stage whose input is missing until it is restored
    assert {name for name in sure if not any("changes back" in reason for reason in rows[name].reasons)} <= named, told
    return promised


def readers_of(names: set[str]) -> set[str]:
    """List the stages that read what these write."""
    written = {place for name in names for place in stage(name).writes}
    return {row.name for row in pipeline.STAGES if written & set(row.reads)}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_one_change_does_what_was_promised_and_then_there_is_nothing_to_do(world: World, mutation: str) -> None:
    MUTATIONS[mutation](world)
    promised = keeps_its_promise(world)
    assert promised.is_idle == (mutation in NOTHING), promised.rows
    assert plan(world.root).is_idle
    assert world.status() == set()


def test_of_a_stage_that_is_inserted_what_does_not_read_it_does_not_run(world: World) -> None:
    MUTATIONS["new stage inserted"](world)
    promised = keeps_its_promise(world)
    assert [row.name for row in promised.rows if not row.is_idle] == ["review"]


def some_pairs(world: World, number: int) -> None:
    """Let two things happen at once, again and again, in a workspace that has a history."""
    for turn in range(number):
        pair = world.chance.sample(sorted(MUTATIONS), 2)
        for mutation in pair:
            MUTATIONS[mutation](world)
        try:
            keeps_its_promise(world)
        except AssertionError as broken:
            raise AssertionError(f"turn {turn}, {pair}: {broken}") from broken


def test_pairs_of_changes_do_what_was_promised(world: World) -> None:
    some_pairs(world, SAMPLED)


@pytest.mark.slow
def test_two_hundred_pairs_of_changes_do_what_was_promised(world: World) -> None:
    some_pairs(world, ALL_PAIRS)
