"""The ledger: what was entered stays, in order, and a changed, missing or swapped line is told."""

import subprocess
from pathlib import Path

import pytest

from tasks.versions.ledger import Entry, held, located, read


def entry(version: str) -> Entry:
    return Entry("dopsd", "promote", version, "a", "because", champion=version, challenger=None)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger of three decisions; gives its file."""
    for version in ("v1", "v2", "v3"):
        with held(tmp_path) as book:
            book.append(entry(version))
    return tmp_path / "ledger.jsonl"


def test_what_was_entered_is_read_back_in_order(ledger: Path) -> None:
    entries = read(ledger.parent)
    assert [(row.number, row.champion) for row in entries] == [(1, "v1"), (2, "v2"), (3, "v3")]
    assert [row.previous for row in entries[1:]] == [row.digest for row in entries[:-1]]
    with held(ledger.parent) as book:
        assert book.text() == ledger.read_text()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_changed_line_is_named(ledger: Path, number: int) -> None:
    lines = ledger.read_text().splitlines(keepends=True)
    lines[number - 1] = lines[number - 1].replace("because", "for money")
    ledger.write_text("".join(lines))
    with pytest.raises(ValueError, match=f"line {number} was changed"):
        read(ledger.parent)
    with pytest.raises(ValueError, match=r"put back ledger\.jsonl"), held(ledger.parent):
        pass


def test_a_line_that_is_taken_out_or_swapped_breaks_the_chain(ledger: Path) -> None:
    one, two, three = ledger.read_text().splitlines(keepends=True)
    for text in (one + three, two + three, two + one + three):
        ledger.write_text(text)
        with pytest.raises(ValueError, match="was changed, or one before it is gone"):
            read(ledger.parent)


def test_half_a_line_of_a_crash_is_not_a_decision(ledger: Path) -> None:
    whole = ledger.read_text()
    ledger.write_text(whole + whole.splitlines()[-1][:40])
    assert len(read(ledger.parent)) == 3
    with held(ledger.parent) as book:
        book.append(entry("v4"))
    assert [row.champion for row in read(ledger.parent)] == ["v1", "v2", "v3", "v4"]


def test_all_worktrees_of_a_repository_share_one(tmp_path: Path) -> None:
    main, other = tmp_path / "main", tmp_path / "other"
    main.mkdir()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (
        ["init", "-q"],
        ["commit", "-q", "--allow-empty", "-m", "one"],
        ["worktree", "add", "-q", str(other)],
    ):
        subprocess.run([*git, *words], cwd=main, check=True)
    assert located(other) == located(main) == main / "ledger.jsonl"
    assert located(tmp_path) == tmp_path / "ledger.jsonl"
