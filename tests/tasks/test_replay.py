"""Old pictures come back beside new ones: as many as the share asks for, from every version of the line."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from dvc.repo import Repo

from tasks.ancestry.records import CAPTIONS, IMAGES, LINEAGE
from tasks.folders import sha256_of_bytes, sha256_of_folder, write_json, write_rows, write_text
from tasks.git import said
from tasks.images.dataset import embedded, judged
from tasks.params import Params, parse
from tasks.pipeline import Room
from tasks.sections import Replay
from tasks.versions.replay import mix_in
from tasks.versions.version_commit import kept
from tests.fake_workspace import PARAMS


def asking(share: float) -> Params:
    return replace(parse(PARAMS), replay=Replay(share=share))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v1 learnt 1 to 4; v2 from v1 learnt 5 to 8, and 1 again; v3 from v1, beside v2, learnt 9."""
    root = tmp_path_factory.mktemp("project")
    write_text(root / ".dvc/config", "[core]\n    analytics = false\n")
    said(root, "init", "--quiet")
    learnt(root, "v1", "base", range(1, 5))
    learnt(root, "v2", "v1", [1, *range(5, 9)])
    learnt(root, "v3", "v1", [9])
    return root


def learnt(root: Path, version: str, parent: str, numbers: Sequence[int]) -> None:
    """Keep a version's record in git, and its pictures in DVC's cache."""
    rows = [
        {
            "id": str(number) * 32,
            "file": f"files/{number}.png",
            "source": f"replayed/v1/{number}.png" if number == 1 and version != "v1" else f"{number}.png",
            "source_sha256": sha256_of_bytes(b"%d" % number),
        }
        for number in numbers
    ]
    captions = [{"id": row["id"], "caption": f"a [V] on {row['id'][0]}"} for row in rows]
    with Repo(str(root)) as repo:
        files = [{"md5": added(repo, b"%d" % number), "relpath": f"files/{number}.png"} for number in numbers]
        digest = added(repo, json.dumps(files).encode(), ".dir")
    lineage = {"mlflow_run_id": "", "entered": {}, "lineage": {"parent": parent, "dataset": digest}}
    texts = {
        name: "".join(json.dumps(row) + "\n" for row in some) for name, some in ((IMAGES, rows), (CAPTIONS, captions))
    }
    kept(root, "dopsd", version, {LINEAGE: json.dumps(lineage), **texts})


def added(repo: Repo, data: bytes, suffix: str = "") -> str:
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest() + suffix
    repo.cache.local.add_bytes(digest, data)
    return digest


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A source with three new pictures, one of them with its caption."""
    source = tmp_path / "photos"
    for name in ("a.png", "b.png", "c.png", "a.txt", "broken.zip"):
        write_text(source / name, name)
    return source


def mixed(project: Path, photos: Path, parent: str, share: float) -> dict[str, str]:
    """Mix in; gives what each picture says, by its version and name, after asking that its caption is its own."""
    params = asking(share)
    params = replace(params, ingest=params.ingest.model_copy(update={"source": str(photos)}))
    count = mix_in(project, parent, params)
    found = {f"{path.parent.name}/{path.name}": path for path in (photos / "replayed").rglob("*.png")}
    for path in found.values():
        assert path.with_suffix(".txt").read_text() == f"a [V] on {path.read_text()}\n"
    assert len(found) == count
    return {name: path.read_text() for name, path in found.items()}


def test_a_share_of_the_whole_is_old_and_every_version_of_the_line_gives_its_part(project: Path, photos: Path) -> None:
    assert len(mixed(project, photos, "v2", 0.25)) == 1
    drawn = mixed(project, photos, "v2", 0.5)
    assert sorted(name[:2] for name in drawn) in (["v1", "v1", "v2"], ["v1", "v2", "v2"])
    before = sha256_of_folder(photos)
    assert mixed(project, photos, "v2", 0.5) == drawn
    assert sha256_of_folder(photos) == before


def test_no_share_asks_for_more_than_there_is_or_for_what_another_line_learnt(project: Path, photos: Path) -> None:
    assert sorted(mixed(project, photos, "v2", 0.9).values()) == [str(number) for number in range(1, 9)]
    assert sorted(mixed(project, photos, "v3", 0.9).values()) == ["1", "2", "3", "4", "9"]


def test_what_lies_among_the_new_pictures_is_not_learnt_twice(project: Path, photos: Path) -> None:
    for number in (2, 3):
        write_text(photos / f"{number}.png", str(number))
    assert sorted(mixed(project, photos, "v1", 0.9).values()) == ["1", "4"]


def test_from_the_base_or_without_a_share_nothing_is_replayed_any_more(project: Path, photos: Path) -> None:
    for parent, share in (("base", 0.5), ("v2", 0.0)):
        assert mixed(project, photos, "v2", 0.5)
        assert mixed(project, photos, parent, share) == {}


def test_what_cannot_be_mixed_in_is_told(project: Path, photos: Path) -> None:
    with pytest.raises(ValueError, match="there is no record of v9"):
        mixed(project, photos, "v9", 0.5)
    with pytest.raises(ValueError, match=r"replay\.share wants a folder"):
        mixed(project, photos / "a.png", "v1", 0.5)


def test_no_version_is_judged_as_this_concept_by_pictures_of_another_one(tmp_path: Path) -> None:
    common = {"source_sha256": "", "width": 8, "height": 8, "format": "PNG", "phash": "", "notes": [], "caption": None}
    rows = [{"id": name[-5], "file": name, "source": name, **common} for name in ("a.png", "replayed/v1/b.png")]
    write_rows(tmp_path / "images/images.jsonl", rows)
    write_json(tmp_path / "embeddings/manifest.json", {"params": {"image_side_px": 8}})
    write_rows(tmp_path / "embeddings/index.jsonl", [{"id": name, "caption": "a [V]"} for name in "ab"])
    room = Room({name: tmp_path / name for name in ("images", "embeddings")}, {}, tmp_path)
    assert [pair.id for pair in embedded(room)] == ["a", "b"]
    assert [pair.id for pair in judged(room)] == ["a"]
