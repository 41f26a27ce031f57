"""Which image is in which dataset, in a small database that is read off the records, and may be deleted at any time.

>>> with opened(Path(), records(Path(), "dopsd")) as index: index.datasets_of(index.alike(looks, max_bits=6))

A million rows in 50 datasets are asked in milliseconds; `python -m tasks.ancestry.benchmark` tells how many.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.ancestry.records import Record, contents, lines

FILE = Path("runs/ancestry.sqlite")
SCHEMA = """
create table if not exists dataset (key integer primary key, blob text unique, count integer);
create table if not exists image (
    key integer primary key, id text, sha256 text, source text, looks text, unique (id, sha256, source)
);
create index if not exists by_sha256 on image (sha256);
create table if not exists member (image integer, dataset integer, primary key (image, dataset)) without rowid;
create index if not exists by_dataset on member (dataset, image);
create table if not exists looks (keys blob, hashes blob);
pragma user_version = 1;
"""


@dataclass(frozen=True)
class Image:
    """A picture as one file of its owner brought it: `id` names its pixels, `sha256` the file's bytes."""

    key: int
    id: str
    sha256: str
    source: str
    looks: str


@dataclass(frozen=True)
class Index:
    """The open database; datasets go by what git calls the list of their images."""

    _database: sqlite3.Connection

    def named(self, digest: str) -> list[Image]:
        """Find images by the id of their pixels, or the sha256 of their bytes."""
        asked = "select key, id, sha256, source, looks from image where id = ? or sha256 = ?"
        return [Image(*row) for row in self._database.execute(asked, (digest, digest))]

    def alike(self, looks: str, max_bits: int) -> dict[Image, int]:
        """Find images of which at most `max_bits` of 64 bits of their looks differ, to how many do."""
        row = self._database.execute("select keys, hashes from looks").fetchone()
        if row is None:
            return {}
        keys, hashes = (np.frombuffer(blob, dtype=np.uint64) for blob in row)
        apart = np.bitwise_count(hashes ^ np.uint64(int(looks, 16)))
        near = np.flatnonzero(apart <= max_bits)
        return {self._image(int(keys[at])): int(apart[at]) for at in near}

    def datasets_of(self, images: Iterable[Image]) -> set[str]:
        """Name the datasets that hold any of `images`."""
        asked = "select blob from member join dataset on dataset.key = member.dataset where image = ?"
        return {blob for image in images for (blob,) in self._database.execute(asked, (image.key,))}

    def images_of(self, blob: str | None) -> list[Image]:
        """List the images of a dataset, sorted by id; none where nothing is known of it."""
        asked = (
            "select image.key, id, sha256, source, looks from dataset join member on dataset = dataset.key "
            "join image on image.key = image where blob = ? order by id"
        )
        return [Image(*row) for row in self._database.execute(asked, (blob,))]

    def difference(self, ours: str | None, theirs: str | None) -> tuple[list[Image], list[Image]]:
        """List what `ours` has that `theirs` has not, and the other way round; pixels decide.

        Keys are compared first, which are numbers; the images of those that one alone has are looked up. One that came
        again under another name, or as other bytes of the same pixels, is among these on both sides.
        """
        mine, yours = (self._keys_of(blob) for blob in (ours, theirs))
        new, old = ({image.id: image for image in map(self._image, keys)} for keys in (mine - yours, yours - mine))
        added, removed = (
            [some[identity] for identity in sorted(some.keys() - others.keys())]
            for some, others in ((new, old), (old, new))
        )
        return added, removed

    def _keys_of(self, blob: str | None) -> set[int]:
        asked = "select image from dataset join member on dataset = dataset.key where blob = ?"
        return {key for (key,) in self._database.execute(asked, (blob,))}

    def add(self, blob: str, rows: Iterable[Mapping[str, str]]) -> None:
        """Enter a dataset by the rows of its images.jsonl, if it is not there."""
        put = self._database.execute("insert or ignore into dataset (blob) values (?)", (blob,))
        if put.rowcount == 0:
            return
        dataset, images = (
            put.lastrowid,
            [(row["id"], row["source_sha256"], row["source"], row["phash"]) for row in rows],
        )
        enter = "insert or ignore into image (id, sha256, source, looks) values (?, ?, ?, ?)"
        self._database.executemany(enter, images)
        member = "insert or ignore into member select key, ? from image where id = ? and sha256 = ? and source = ?"
        self._database.executemany(member, [(dataset, *image[:3]) for image in images])
        self._database.execute("update dataset set count = ? where key = ?", (len(images), dataset))

    def settle(self) -> None:
        """Lay the looks of all images out for comparison."""
        rows = self._database.execute("select key, looks from image").fetchall()
        keys, hashes = ([row[0] for row in rows], [int(row[1], 16) for row in rows])
        blobs = (np.array(values, dtype=np.uint64).tobytes() for values in (keys, hashes))
        self._database.execute("delete from looks")
        self._database.execute("insert into looks values (?, ?)", tuple(blobs))

    def blobs(self) -> set[str]:
        """Name the datasets that are entered."""
        return {blob for (blob,) in self._database.execute("select blob from dataset")}

    def _image(self, key: int) -> Image:
        asked = "select key, id, sha256, source, looks from image where key = ?"
        return Image(*self._database.execute(asked, (key,)).fetchone())


@contextmanager
def opened(root: Path, known: Mapping[str, Record]) -> Iterator[Index]:
    """Open the index of a workspace, after entering what it does not hold yet."""
    path = root / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=60)) as database:
        if database.execute("pragma user_version").fetchone()[0] == 0:
            database.executescript(SCHEMA)
        index = Index(database)
        wanted = {record.images for record in known.values() if record.images}
        if new := sorted(wanted - index.blobs()):
            with database:
                _enter(index, root, new)
        yield index


def _enter(index: Index, root: Path, blobs: Sequence[str]) -> None:
    for blob in blobs:
        _, text = contents(root, [blob])[blob]
        index.add(blob, lines(text))
    index.settle()
