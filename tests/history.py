"""A history of eight versions on six datasets, with branches, a rejected version, a rollback and a cache hit.

v1 base {0 1 2}    PROMOTE           v5 from v2 {0 1 2 3}  HOLD: the dataset of v2, from the cache
v2 from v1 {0 1 2 3} PROMOTE         v6 base {7}           REJECT
v3 from v1 {0 1 4} REJECT            v7 from v4 {5 6 8}    HOLD
v4 from v2 {5 6}   PROMOTE, rolled back: v2 is champion    v8 from v6 {7 9}  REJECT
"""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from tasks.ancestry.records import CAPTIONS, IMAGES, LINEAGE
from tasks.folders import sha256_of_bytes
from tasks.git import said
from tasks.images.duplicates import perceptual_hash
from tasks.images.picture import Limits, decoded
from tasks.versions import ledger
from tasks.versions.ledger import Entry
from tasks.versions.version_commit import kept

MADE = {
    "v1": ("base", (0, 1, 2), "PROMOTE"), "v2": ("v1", (0, 1, 2, 3), "PROMOTE"), "v3": ("v1", (0, 1, 4), "REJECT"),
    "v4": ("v2", (5, 6), "PROMOTE"), "v5": ("v2", (0, 1, 2, 3), "HOLD"), "v6": ("base", (7,), "REJECT"),
    "v7": ("v4", (5, 6, 8), "HOLD"), "v8": ("v6", (7, 9), "REJECT"),
}  # fmt: skip


def photo(number: int) -> Image.Image:
    """Paint one of ten pictures that do not look alike."""
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return coarse.resize((96, 96), Image.Resampling.BICUBIC)


def png(number: int) -> bytes:
    buffer = io.BytesIO()
    photo(number).save(buffer, "PNG")
    return buffer.getvalue()


def digest(numbers: tuple[int, ...]) -> str:
    """Stand in for DVC's digest of a dataset."""
    return f"{'-'.join(map(str, numbers))}.dir"


def made(root: Path) -> Path:
    """Make the history in an empty folder, in git; gives the folder."""
    said(root, "init", "--quiet")
    (root / "params.yaml").write_text("a: 1\n")
    said(root, "add", ".")
    said(root, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--message", "one")
    for version, (parent, numbers, verdict) in MADE.items():
        (root / "dopsd").mkdir(exist_ok=True)
        (root / "dopsd" / "code.py").write_text(f"# {version if version == 'v7' else ''}\n")
        kept(root, "dopsd", version, _record(version, parent, numbers))
        _decide(root, version, verdict)
        if version == "v4":
            _enter(root, Entry("dopsd", "rollback", "v2", "a", "ugly", "v2", None))
    return root


def _record(version: str, parent: str, numbers: tuple[int, ...]) -> dict[str, str]:
    rate = 2e-5 if version == "v7" else 4e-5
    lineage = {
        "parent": parent, "dataset": digest(numbers), "captions": "c.dir", "base": "tiny@1", "git_commit": "c" * 40,
        "is_git_clean": True, "params": {"train": {"learning_rate": rate}}, "environment_lock": "e",
        "upstream": "fresh", "is_weak_teacher_accepted": False,
        "scores": {"models": {"adapter": {"concept/dino_d@d": {"mean": len(numbers) / 10, "low": 0.1, "high": 0.9}}}},
    }  # fmt: skip
    entered = {"by": "a", "trigger": "a person", "at": "2026-10-01T12:00:00+00:00"}
    told = {
        "model": "dopsd",
        "version": version,
        "mlflow_run_id": f"run-{version}",
        "entered": entered,
        "lineage": lineage,
    }
    images = [_image(number) for number in numbers]
    captions = [
        {"id": row["id"], "caption": "edited" if version == "v7" and row["source"] == "5.png" else "a [V]"}
        for row in images
    ]
    return {LINEAGE: json.dumps(told), IMAGES: _lines(images), CAPTIONS: _lines(captions)}


def _image(number: int) -> dict[str, str]:
    data = png(number)
    picture = decoded(data, Limits())
    looks = perceptual_hash(picture.image)
    return {"id": picture.id, "source_sha256": sha256_of_bytes(data), "source": f"{number}.png", "phash": looks}


def _lines(rows: list[dict[str, str]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _decide(root: Path, version: str, verdict: str) -> None:
    now = ledger.read(root)[-1:]
    champion, challenger = (now[0].champion, now[0].challenger) if now else (None, None)
    champion = version if verdict == "PROMOTE" else champion
    challenger = version if verdict == "HOLD" else challenger
    _enter(root, Entry("dopsd", "decide", version, "gate", "", champion, challenger, verdict=verdict))


def _enter(root: Path, entry: Entry) -> None:
    with ledger.held(root) as book:
        book.append(entry)
