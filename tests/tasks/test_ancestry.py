"""Questions to a history whose answers are known, through the database that is read off git."""

import json
from pathlib import Path

import pytest

from tasks.ancestry.difference import difference
from tasks.ancestry.index import FILE, opened
from tasks.ancestry.records import IMAGES, LINEAGE, OF_BASE, change, records
from tasks.ancestry.roots import roots
from tasks.ancestry.spread import spread
from tasks.ancestry.tree import tree
from tasks.folders import sha256_of_bytes
from tasks.git import said
from tasks.versions.version_commit import kept
from tests.history import MADE, digest, made, photo, png

ENTERED = {"by": "a", "trigger": "a person", "at": "2026-10-01T12:00:00+00:00"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("history"))


def version_on(root: Path, version: str, base: str, *, parent: str = "base", images: str = "") -> None:
    """Keep a version of which little else is known."""
    lineage = {"parent": parent, "base": base, "dataset": "d.dir"}
    told = {"mlflow_run_id": f"run-{version}", "entered": ENTERED, "lineage": lineage}
    kept(root, "dopsd", version, {LINEAGE: json.dumps(told), IMAGES: images})


def write(folder: Path, number: int, *, side: int = 96, kind: str = "PNG", quality: int = 80) -> str:
    """Write a copy of a picture; gives its path."""
    path = folder / f"copy.{kind.lower()}"
    photo(number).resize((side, side)).save(path, kind, quality=quality)
    return str(path)


def test_the_same_bytes_are_followed_to_models_descendants_and_aliases(root: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(3))
    found = spread(root, "dopsd", str(tmp_path / "x.png"), max_bits=6)
    assert [(match.kind, match.image.source) for match in found.matches] == [("same bytes", "3.png")]
    assert found.datasets == [digest((0, 1, 2, 3))]
    assert found.trained == ["v2", "v5"]
    assert found.descendants == ["v4", "v7"]
    assert found.aliases == {"champion": "v2", "challenger": "v7"}
    assert found.runs == {version: f"run-{version}" for version in ("v2", "v4", "v5", "v7")}


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize(("side", "kind"), [(96, "JPEG"), (64, "PNG"), (150, "WEBP")])
def test_copies_made_anew_and_resized_are_found_and_no_others(
    root: Path, tmp_path: Path, number: int, side: int, kind: str
) -> None:
    found = spread(root, "dopsd", write(tmp_path, number, side=side, kind=kind), max_bits=6)
    assert [(match.kind, match.image.source) for match in found.matches] == [("looks alike", f"{number}.png")]
    assert found.trained == [version for version, (_, numbers, _) in MADE.items() if number in numbers]


def test_the_same_pixels_in_another_file_are_told_as_such(root: Path, tmp_path: Path) -> None:
    found = spread(root, "dopsd", write(tmp_path, 7, kind="BMP"), max_bits=0)
    assert [match.kind for match in found.matches] == ["same pixels"]
    assert found.trained == ["v6", "v8"]
    assert found.aliases == {}


def test_an_image_that_is_gone_is_followed_by_its_digest(root: Path) -> None:
    by_bytes = spread(root, "dopsd", sha256_of_bytes(png(4)), max_bits=6)
    assert (by_bytes.trained, by_bytes.descendants) == (["v3"], [])
    by_pixels = spread(root, "dopsd", by_bytes.matches[0].image.id, max_bits=6)
    assert by_pixels.trained == ["v3"]
    with pytest.raises(FileNotFoundError, match="name an image, or the digest"):
        spread(root, "dopsd", "nowhere.png", max_bits=6)


def test_an_image_that_nobody_learnt_from_leads_nowhere(root: Path, tmp_path: Path) -> None:
    found = spread(root, "dopsd", write(tmp_path, 11), max_bits=6)
    assert (found.matches, found.datasets, found.trained, found.descendants, found.aliases) == ([], [], [], [], {})
    assert found.unread is None


def test_a_file_that_is_no_image_is_looked_up_by_its_bytes_and_that_is_told(tmp_path: Path) -> None:
    data, (root, file) = b"no image", (tmp_path / "project", tmp_path / "text.png")
    file.write_bytes(data)
    root.mkdir()
    said(root, "init", "--quiet")
    assert spread(root, "dopsd", str(file), max_bits=6).matches == []
    row = {"id": "0" * 32, "source_sha256": sha256_of_bytes(data), "source": "a.png", "phash": "0" * 16}
    version_on(root, "v2", "tiny@1", images=json.dumps(row) + "\n")
    found = spread(root, "dopsd", str(file), max_bits=6)
    assert [(match.kind, match.image.source) for match in found.matches] == [("same bytes", "a.png")]
    assert (found.trained, bool(found.unread)) == (["v2"], True)
    assert spread(root, "dopsd", sha256_of_bytes(data), max_bits=6).unread is None


def test_a_version_knows_its_images_its_line_and_its_heirs(root: Path) -> None:
    found = tree(root, "dopsd", "v2")
    assert sorted(image.source for image in found.images) == ["0.png", "1.png", "2.png", "3.png"]
    assert [image.source for image in found.added] == ["3.png"]
    assert found.ancestors == ["v1", "base"]
    assert found.descendants == ["v4", "v5", "v7"]
    assert found.aliases == {"champion": "v2", "challenger": "v7"}
    assert found.verdicts == {"v1": "PROMOTE", "v2": "PROMOTE", "v4": "PROMOTE", "v5": "HOLD", "v7": "HOLD"}
    assert tree(root, "dopsd", "champion").record.version == "v2"
    assert tree(root, "dopsd", "v8").ancestors == ["v6", "base"]
    with pytest.raises(ValueError, match="no record of v9 of dopsd; there is v1, v2"):
        tree(root, "dopsd", "v9")
    with pytest.raises(ValueError, match="base names a base of dopsd, which has no training"):
        tree(root, "dopsd", "base")


def test_of_an_alias_that_nobody_holds_it_is_said_that_nobody_does(tmp_path: Path) -> None:
    said(tmp_path, "init", "--quiet")
    version_on(tmp_path, "v2", "tiny@1")
    with pytest.raises(ValueError, match="nobody is challenger of dopsd; there is v2"):
        tree(tmp_path, "dopsd", "challenger")


def test_each_base_tells_its_versions_and_all_that_came_of_it(tmp_path: Path) -> None:
    said(tmp_path, "init", "--quiet")
    assert roots(tmp_path, "dopsd").bases == []
    version_on(tmp_path, "v2", "old@1")  # of before bases were versions
    for version, base in (("v1", "tiny@1"), ("v6", "large@1")):
        told = {"base": base, "folder": f"models/{base}", "family": "z-image", "entered": ENTERED}
        kept(tmp_path, "dopsd", version, {OF_BASE: json.dumps(told)}, is_made=False)
    version_on(tmp_path, "v3", "tiny@1")
    version_on(tmp_path, "v4", "tiny@1", parent="v3")
    version_on(tmp_path, "v7", "large@1")
    version_on(tmp_path, "v8", "large@1", parent="v4")  # says another base than its parent's
    version_on(tmp_path, "v10", "tiny@1", parent="v8")
    tiny, large, old = roots(tmp_path, "dopsd").bases
    assert [one.base for one in (tiny, large, old)] == ["tiny@1", "large@1", "old@1"]
    assert [one.is_current for one in (tiny, large, old)] == [True, False, False]
    assert [[known.version for known in one.versions] for one in (tiny, large, old)] == [["v1"], ["v6"], []]
    assert (tiny.begun, tiny.made) == (["v3"], ["v3", "v4", "v8", "v10"])
    assert (large.begun, large.made) == (["v7"], ["v7", "v8", "v10"])
    assert (old.begun, old.made) == (["v2"], ["v2"])
    assert roots(tmp_path, "dopsd", "v6").bases == [large]


def test_two_versions_differ_in_what_was_changed_and_in_nothing_else(root: Path) -> None:
    found = difference(root, "dopsd", "v4", "v7")
    assert [image.source for image in found.added] == ["8.png"]
    assert found.removed == []
    assert list(found.recaptioned.values()) == [("a [V]", "edited")]
    assert found.params == {"train.learning_rate": (4e-5, 2e-5)}
    assert found.code == ["dopsd/code.py"]
    assert found.facts == {"parent": ("v2", "v4")}
    assert found.scores == {"concept/dino_d@d": ([0.2, 0.1, 0.9], [0.3, 0.1, 0.9])}
    same = difference(root, "dopsd", "v2", "v5")
    assert (same.added, same.removed, same.params, same.code, same.scores) == ([], [], {}, [], {})


def test_the_index_is_rebuilt_from_the_records_and_says_the_same(root: Path) -> None:
    before = [tree(root, "dopsd", version) for version in MADE]
    (root / FILE).unlink()
    after = [tree(root, "dopsd", version) for version in MADE]
    for one, two in zip(before, after, strict=True):
        assert {image.id for image in one.images} == {image.id for image in two.images}
        assert (one.ancestors, one.descendants, one.aliases) == (two.ancestors, two.descendants, two.aliases)


def test_a_tag_of_a_persons_own_beside_those_of_versions_is_none_of_them(root: Path) -> None:
    said(root, "tag", "model/dopsd/v2-as-shown-in-may", "model/dopsd/v2")
    assert list(records(root, "dopsd")) == list(MADE)


def test_a_dataset_that_two_versions_share_is_kept_once(root: Path) -> None:
    known = records(root, "dopsd")
    with opened(root, known) as index:
        assert index.blobs() == {record.images for record in known.values()}
        assert len(index.blobs()) == 7
    assert change(root, known["v2"], known["v1"]) == (1, 0)
    assert change(root, known["v3"], known["v1"]) == (1, 1)
