"""A fake workspace in this process, and everything that may happen to one: `MUTATIONS`, each by name.

The stages' work is cheap and DVC is real, but for the processes that it would start.
"""

import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from tasks import pipeline
from tasks.pipeline import PLACES, STAGES, Stage
from tasks.planning import fingerprint, installation
from tasks.planning.code_record import refresh
from tests.fake_workspace import FakeWorkspace
from tests.one_process import stages_here

REVIEW = Stage("review", "look once more", ("caption",), ("images", "captions"), ("reviews",))
"""A stage that is inserted between two others, and may be taken out again."""
OUTPUTS = [PLACES[place] for row in STAGES for place in row.writes]
_TABLES = ("tasks.pipeline", "tasks.planning.plan", "tasks.planning.selection", "tasks.planning.fingerprint",
           "tasks.dvcfile", "tests.fake_workspace")  # fmt: skip


@dataclass
class World:
    """The workspace, what is installed, and the chance by which mutations choose."""

    workspace: FakeWorkspace
    chance: random.Random
    versions: dict[str, str] = field(default_factory=lambda: {"torch": "2.13.0+cpu", "PIL": "13.0.0"})
    count: int = 0
    patch: pytest.MonkeyPatch = field(default_factory=pytest.MonkeyPatch)

    @property
    def root(self) -> Path:
        return self.workspace.root

    def fresh(self) -> int:
        """Give a number that was not there before."""
        self.count += 1
        return self.count

    def status(self) -> set[str]:
        """Ask `dvc status` which stages are out of date."""
        with Repo(str(self.root)) as repo:
            return set(repo.status()) - {fingerprint.STAGE}

    def run(self, *targets: str) -> list[str]:
        """Do what `dvc repro` does, for all or up to `targets`; gives the stages that ran."""
        known = len(self.workspace.ran())
        refresh(self.root)
        with Repo(str(self.root)) as repo:
            repo.reproduce(targets)
        return self.workspace.ran()[known:]


@contextmanager
def settled(world: World) -> Iterator[None]:
    """Let DVC call fake bodies in this process, and our code find the world's versions."""
    with stages_here(world.root, REVIEW) as patch:
        patch.setattr(installation, "_version", lambda name: world.versions.get(name, "1"))
        patch.setitem(PLACES, "reviews", "data/reviews")  # type: ignore[arg-type]
        world.patch = patch
        yield


def _photos(world: World) -> list[Path]:
    return sorted((world.root / "photos").glob("*.png"))


def _output(world: World) -> Path:
    """Choose an output that is there."""
    there = [world.root / path for path in OUTPUTS if (world.root / path).exists()]
    return world.chance.choice(there)


def _add_image(world: World) -> None:
    world.workspace.write(f"photos/{world.fresh()}.png", f"{world.count}")


def _remove_image(world: World) -> None:
    if len(_photos(world)) > 1:
        world.chance.choice(_photos(world)).unlink()


def _replace_image(world: World) -> None:
    path = world.chance.choice(_photos(world))
    path.write_text(f"{world.fresh():0{path.stat().st_size}d}"[-path.stat().st_size :])


def _edit_caption(world: World) -> None:
    world.chance.choice(_photos(world)).with_suffix(".txt").write_text(f"caption {world.fresh()}")


def _block(world: World) -> None:
    world.workspace.write("blocked.jsonl", f'{{"id": "{world.fresh()}"}}\n')


def _edit_code(path: str, line: str) -> Callable[[World], None]:
    def edit(world: World) -> None:
        place = world.root / "code" / path
        place.write_text(place.read_text() + line.format(world.fresh()))

    return edit


def _edit_docstring(world: World) -> None:
    path = world.root / "code/tasks/embed.py"
    path.write_text(f'"""Another {world.fresh()}."""\n' + path.read_text().partition("\n")[2])


def _edit_constant(world: World) -> None:
    name = world.chance.choice(STAGES).name
    path = world.root / f"code/tasks/{name}.py"
    salt = path.read_text().partition("SALT = ")[2].partition("\n")[0]
    path.write_text(
        path.read_text().replace(f"SALT = {salt}", f"SALT = {(int(salt) + world.chance.choice([1, 2])) % 3}")
    )


def _param(key: str, *values: object) -> Callable[[World], None]:
    def change(world: World) -> None:
        section, _, name = key.partition(".")
        said = yaml.safe_load((world.root / "params.yaml").read_text())[section].get(name)
        world.workspace.change(key, world.chance.choice([value for value in values if value != said]))

    return change


def _install(world: World) -> None:
    world.versions[world.chance.choice(["torch", "PIL"])] = f"9.{world.chance.randrange(3)}+cpu"


def _other_base(world: World) -> None:
    world.workspace.write("models/base/w", f"weights {world.chance.randrange(3)}")


def _delete_output(world: World) -> None:
    _erase(_output(world))


def _corrupt_output(world: World) -> None:
    path = _output(world)
    file = path if path.is_file() else world.chance.choice([one for one in path.rglob("*") if one.is_file()])
    data = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(bytes([data[0] ^ 1]) + data[1:])


def _collect_garbage(world: World) -> None:
    shutil.rmtree(world.root / ".dvc/cache/files", ignore_errors=True)
    _delete_output(world)


def _let_dvc_collect_garbage(world: World) -> None:
    """Drop from the cache all that the workspace does not name, and lose an output."""
    with Repo(str(world.root)) as repo:
        repo.gc(workspace=True)
    _delete_output(world)


def _insert_stage(world: World) -> None:
    """Put a stage between two others; where it is, take it out."""
    stages = STAGES if REVIEW in pipeline.STAGES else (*STAGES[:2], REVIEW, *STAGES[2:])
    for name in _TABLES:
        world.patch.setattr(f"{name}.STAGES", stages)
    world.workspace.code(REVIEW.name)
    world.workspace.render()


def _corrupt_entry(world: World) -> None:
    for path in _entries(world)[:1]:
        path.write_bytes(path.read_bytes()[:-1] + b"?")


def _delete_entry(world: World) -> None:
    for path in _entries(world)[:1]:
        path.unlink()


def _entries(world: World) -> list[Path]:
    found = sorted(path for path in (world.root / "runs/store").rglob("*") if path.is_file())
    world.chance.shuffle(found)
    return found


def _erase(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        os.unlink(path)  # noqa: PTH108 (read-only is fine)


MUTATIONS: Mapping[str, Callable[[World], None]] = {
    "nothing": lambda world: None,
    "image added": _add_image,
    "image removed": _remove_image,
    "image replaced by one of the same name and size": _replace_image,
    "caption edited": _edit_caption,
    "image blocked": _block,
    "comment edited": _edit_code("tasks/train.py", "# {}\n"),
    "docstring edited": _edit_docstring,
    "stage edited to do the same": _edit_code("tasks/caption.py", "\n\ndef run(params):\n    return {}\n"),
    "constant of a stage edited": _edit_constant,
    "helper edited": _edit_code("dopsd/captions.py", "\n\ndef clean(text):\n    return text[{}:]\n"),
    "helper edited that nobody calls": _edit_code("dopsd/captions.py", "\n\ndef unused(text):\n    return {}\n"),
    "code that runs at import": _edit_code("dopsd/colours.py", "\nprint({})\n"),
    "param of ingest": _param("ingest.min_side_px", 16, 32),
    "param of caption": _param("caption.placeholder", "[V]", "[W]"),
    "param of embed": _param("embed.batch_size", 2, 4),
    "param of probe": _param("probe.confidence", 0.9, 0.95),
    "param of train": _param("train.learning_rate", 0.001, 0.002),
    "param of evaluate": _param("evaluate.num_rewrites", 8, 16),
    "param of register": _param("register.model", "one", "two"),
    "package version": _install,
    "base revision": _other_base,
    "output deleted": _delete_output,
    "output corrupted": _corrupt_output,
    "cache lost, and an output": _collect_garbage,
    "cache collected by dvc gc": _let_dvc_collect_garbage,
    "new stage inserted": _insert_stage,
    "store entry corrupted": _corrupt_entry,
    "store entry deleted": _delete_entry,
}
