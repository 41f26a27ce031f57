"""A bucket that is watched, behind a real S3 API: what is whole counts, nothing is written there, refusals are told."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from s3fs import S3FileSystem

from tasks.triggers.events import Arrived, Refused, Withdrawn
from tasks.triggers.policy import Policy
from tasks.triggers.sources import catalogue
from tasks.triggers.sources.folder import Folder
from tasks.triggers.sources.object_store import ObjectStore
from tasks.triggers.sources.source import Changed, Unreachable
from tests import buckets
from tests.watched import Place, packed, png

INBOX = "s3://bucket/team/inbox"


class Bucket:
    """What a person puts into the bucket, and what is there."""

    def __init__(self) -> None:
        self._store = fsspec.filesystem("s3", use_listings_cache=False)
        self._store.mkdir("bucket")

    def put(self, name: str, data: bytes, prefix: str = INBOX) -> None:
        self._store.pipe(f"{prefix}/{name}", data)

    def everything(self) -> dict[str, bytes]:
        return {name: self._store.cat(name) for name in self._store.find("bucket") if not name.endswith("/")}


def forget_clients() -> None:
    """Let the next client look at the environment again."""
    S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with buckets.server() as address:
        forget_clients()
        yield address
        forget_clients()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    buckets.reach(server, monkeypatch, tmp_path)
    return Bucket()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_run_learns_what_lies_below_the_prefix_and_the_bucket_stays_as_it_is(bucket: Bucket, place: Place) -> None:
    bucket.put("a.png", png(1))
    bucket.put("a.txt", b"a caption")
    bucket.put("deep/pack.zip", pack := packed(1, 2))
    bucket.put("deep/", b"")  # what consoles leave where a folder was made
    bucket.put("b.png", png(3), f"{INBOX}es")
    before = bucket.everything()
    with place.watched(source=catalogue.named(INBOX)) as watch:
        watch.turn(place.now())
        assert len(watch.journal.state.taken) == 2
        assert place.admitted() == {"a.png", "a.txt", "deep/pack.zip"}
        assert (place.root / "source/new/deep/pack.zip").read_bytes() == pack
        place.starter.ended[place.starter.asked[0]] = "completed"
        watch.turn(place.now())
    with place.watched(source=catalogue.named(f"{INBOX}/")) as watch:
        assert watch.turn(place.now())[0] == []
        assert len(watch.journal.state.trained) == 2
    assert bucket.everything() == before


def test_an_object_that_is_written_over_and_over_waits_and_half_an_archive_is_refused(
    bucket: Bucket, place: Place
) -> None:
    place.settled_for_s, whole = 1e-9, packed(*range(5))
    with place.watched(source=ObjectStore(INBOX)) as watch:
        for end in (10, len(whole) // 2, len(whole) - 1):
            bucket.put("pack.zip", whole[:end])
            assert watch.turn(place.now())[0] == []
        assert [type(event) for event in watch.turn(place.now())[0]] == [Refused]
        bucket.put("pack.zip", whole)
        assert watch.turn(place.now())[0] == []
        happened, _ = watch.turn(place.now())
    assert sum(isinstance(event, Arrived) for event in happened) == 5


def test_what_is_replaced_or_deleted_is_no_longer_what_was_looked_into(bucket: Bucket, place: Place) -> None:
    bucket.put("a.png", png(1))
    source = ObjectStore(INBOX)
    mark = source.marks()["a.png"]
    with source.lent("a.png", mark) as path:
        assert (path.read_bytes(), path.name) == (png(1), "a.png")
    assert not path.parent.exists()
    with place.watched(Policy(), source) as watch:
        watch.turn(place.now())
        bucket.put("a.png", png(2))
        with pytest.raises(Changed), source.lent("a.png", mark):
            pass
        assert [type(event) for event in watch.turn(place.now())[0]] == [Withdrawn, Arrived]
    with pytest.raises(Changed), source.lent("b.png", mark):
        pass


def test_keys_that_are_no_paths_harm_nothing(bucket: Bucket, place: Place) -> None:
    strange = ["../../../x.png", "../../../x.txt", "/y.png", "./z.png", "n" * 300 + ".png", "a.png/b.png"]
    for number, name in enumerate(["a.png", *strange]):
        bucket.put(name, png(number))
    with place.watched(source=ObjectStore(INBOX)) as watch:
        happened, _ = watch.turn(place.now())
    refused = {event.file: event.reason for event in happened if isinstance(event, Refused)}
    assert refused.keys() == set(strange)
    assert refused["a.png/b.png"] == "a part of its key is an object by itself; rename one of the two"
    assert place.admitted() == {"a.png"}
    assert [path.name for path in place.root.rglob("[xyz].*")] == []


def test_a_store_that_refuses_or_is_not_there_is_told_and_what_was_noted_stays(
    bucket: Bucket, place: Place, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unreachable, match=r"s3://bukcet cannot be read \(The specified bucket does not exist\)"):
        ObjectStore("s3://bukcet").marks()
    bucket.put("a.png", png(1))
    with place.watched(Policy(min_new_images=2, quiet_for=0), ObjectStore(INBOX)) as watch:
        watch.turn(place.now())
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    forget_clients()
    with place.watched(source=ObjectStore(INBOX)) as watch:
        with pytest.raises(Unreachable, match=r"endpoint and credentials in the environment \(AWS_ENDPOINT_URL"):
            watch.turn(place.now())
        assert len(watch.journal.state.waiting) == 1
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    for name in buckets.CREDENTIALS:
        monkeypatch.delenv(name)
    forget_clients()
    with pytest.raises(Unreachable, match="Unable to locate credentials"):
        ObjectStore(INBOX).marks()
    forget_clients()


def test_an_empty_prefix_is_right_as_long_as_its_bucket_is_there(bucket: Bucket) -> None:
    assert ObjectStore(f"{INBOX}/new").marks() == {}


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_other_stores_are_read_by_the_same_code(scheme: str, place: Place, tmp_path: Path) -> None:
    address = f"{scheme}://{tmp_path}/inbox"
    for name in ("a.png", "deep/b.png"):
        place.put(name, png(ord(name[0])))
        fsspec.filesystem(scheme).pipe(f"{tmp_path}/inbox/{name}", png(ord(name[0])))
    assert ObjectStore(address).marks().keys() == Folder(tmp_path / "inbox").marks().keys()
    with place.watched(source=ObjectStore(address)) as watch:
        watch.turn(place.now())
        assert place.admitted() == {"a.png", "deep/b.png"}
    assert isinstance(catalogue.named("file:///inbox"), Folder)
    with pytest.raises(Unreachable, match="there is no such bucket or folder"):
        ObjectStore("file:///no/such").marks()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://key:secret@bucket/inbox", "the address holds a password"),
        ("s4://bucket/inbox", "s4://bucket/inbox cannot be watched: Protocol not known: s4"),
    ],
)
def test_an_address_that_cannot_be_watched_is_told(address: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as told:
        catalogue.named(address)
    assert "secret" not in str(told.value)
