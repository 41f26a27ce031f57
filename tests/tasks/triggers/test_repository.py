"""A branch that is watched: what a commit holds counts once it is pushed, by git and by DVC alike."""

import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo

from tasks.git import said
from tasks.triggers.events import Arrived, Withdrawn
from tasks.triggers.policy import Policy
from tasks.triggers.sources import catalogue
from tasks.triggers.sources.repository import Repository
from tasks.triggers.sources.source import Changed, Unreachable
from tests.watched import Place, png


class Author:
    """Who keeps pictures in a repository: some in git, some in DVC, whose remote is a folder."""

    def __init__(self, top: Path) -> None:
        self.root, self.remote = top / "author", top / "remote"
        for name, number in (("photos/a.png", 1), ("photos/deep/b.png", 2), ("inbox/c.png", 3), ("inboxes/d.png", 4)):
            self.write(name, png(number))
        said(self.root, "init", "--quiet", "--initial-branch", "main")
        Repo.init(str(self.root)).close()
        with Repo(str(self.root)) as repo, repo.config.edit() as config:
            config["remote"] = {"near": {"url": str(self.remote)}}
            config["core"]["remote"] = "near"
        self.push()

    def write(self, name: str, data: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # DVC may have linked it
        path.write_bytes(data)

    def push(self) -> None:
        """Commit all that is there."""
        with Repo(str(self.root)) as repo:
            repo.add(str(self.root / "photos"))
            repo.push()
        said(self.root, "add", ".")
        said(self.root, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--message", "pictures")

    def address(self, folder: str = "", revision: str = "main") -> str:
        return f"git+file://{self.root}@{revision}" + (f"#subdirectory={folder}" if folder else "")


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return Author(tmp_path)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_run_learns_what_the_branch_holds_and_then_what_the_next_commit_adds(author: Author, place: Place) -> None:
    with place.watched(source=catalogue.named(author.address("photos"))) as watch:
        watch.turn(place.now())
        assert place.admitted() == {"a.png", "deep/b.png"}
        place.starter.ended[place.starter.asked[0]] = "completed"
        watch.turn(place.now())
        author.write("photos/e.png", png(5))
        assert watch.turn(place.now())[0] == [], "what nobody pushed is not there"
        author.push()
        happened = [event for _ in range(2) for event in watch.turn(place.now())[0]]
        assert [event.file for event in happened if isinstance(event, Arrived)] == ["e.png"]
        assert len(place.starter.asked) == 2


def test_files_of_git_are_read_as_those_of_dvc_and_only_below_the_folder(author: Author) -> None:
    whole = Repository(author.address()).marks()
    assert {"photos/a.png", "photos/deep/b.png", "inbox/c.png", "inboxes/d.png"} <= whole.keys()
    source = Repository(author.address("inbox"))
    assert source.marks().keys() == {"c.png"}
    with source.lent("c.png", source.marks()["c.png"]) as path:
        assert (path.read_bytes(), path.name) == (png(3), "c.png")
    assert not path.parent.exists()


def test_a_file_that_becomes_another_is_no_longer_what_was_looked_into(author: Author, place: Place) -> None:
    source = Repository(author.address("photos"))
    mark = source.marks()["a.png"]
    with place.watched(Policy(), source) as watch:
        watch.turn(place.now())
        author.write("photos/a.png", png(6))
        author.push()
        happened = [event for _ in range(2) for event in watch.turn(place.now())[0]]
        assert {Withdrawn, Arrived} == {type(event) for event in happened}
    with pytest.raises(Changed), source.lent("a.png", mark):
        pass


def test_a_tag_is_its_commit_whatever_the_branch_does(author: Author) -> None:
    said(author.root, "-c", "user.name=a", "-c", "user.email=a@b.c", "tag", "--annotate", "v1", "--message", "one")
    author.write("photos/e.png", png(5))
    author.push()
    assert Repository(author.address("photos", "v1")).marks().keys() == {"a.png", "deep/b.png"}
    assert Repository(author.address("photos")).marks().keys() == {"a.png", "deep/b.png", "e.png"}


def test_what_cannot_be_read_is_told_and_may_pass(author: Author) -> None:
    for address, complaint in (
        (author.address(revision="nobody"), "there is no branch or tag nobody"),
        (author.address("nothing"), "main has no folder nothing"),
        ("git+file:///no/such@main", "does not appear to be a git repository"),
    ):
        with pytest.raises(Unreachable, match=f"cannot be read .*{complaint}.*correct the address"):
            Repository(address).marks()
    source = Repository(author.address("photos"))
    mark = source.marks()["a.png"]
    kept = author.remote / "files/md5" / mark[:2] / mark[2:]
    kept.chmod(0o644)
    kept.write_bytes(png(7))
    shutil.rmtree(author.root / ".dvc/cache")
    with pytest.raises(Unreachable, match="is not what DVC recorded"), source.lent("a.png", mark):
        pass


@pytest.mark.parametrize("address", ["git+https://host/a.git", "git+https://host/a.git@", "git+file:///a@main#egg=x"])
def test_an_address_without_a_branch_is_told_how_to_write_one(address: str) -> None:
    with pytest.raises(ValueError, match="names no branch of a repository: write git"):
        catalogue.named(address)


def test_a_secret_in_the_address_is_refused() -> None:
    with pytest.raises(ValueError, match="holds a password") as told:
        catalogue.named("git+https://user:secret@host/a.git@main")
    assert "secret" not in str(told.value)
