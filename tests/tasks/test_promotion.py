"""Moves of the champion on a real registry: earned or asked for, one at a time, and all of them entered."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from dopsd.gate import Decision, Verdict
from tasks.params import parse
from tasks.tracking import connect, new_run
from tasks.versions import aliases, ledger, promotion, run_record
from tasks.versions.promotion import Moved, Standing
from tasks.versions.shadow import SHADOW
from tasks.versions.succession import champion_at, succession
from tests.fake_workspace import PARAMS
from tests.versions import entered


@pytest.fixture
def root(store_root: Path) -> Path:
    """A workspace with four versions and no champion."""
    run_id = new_run(connect(), parse(PARAMS))
    for number in range(4):
        entered(store_root, number, run_id)
    return store_root


def decide(root: Path, version: str, verdict: Verdict, *, margins: str = "") -> None:
    decision = Decision(verdict, ())
    rival = promotion.rival("dopsd", version, root)
    promotion.decide("dopsd", version, decision, rival=rival, evidence={"margins": margins}, root=root)


def promote(root: Path, version: str, known: Standing | None = None, *, insists: bool = False) -> None:
    known = known or promotion.standing("dopsd", root)
    promotion.promote("dopsd", version, "why not", root, known=known, despite_rejection=insists)


def champions(root: Path) -> list[str | None]:
    return [row.champion for row in ledger.read(root)]


def test_promote_makes_a_champion_hold_a_challenger_and_reject_nothing(root: Path) -> None:
    decide(root, "v1", Verdict.PROMOTE)
    decide(root, "v2", Verdict.REJECT)
    assert promotion.standing("dopsd", root) == Standing("v1", None)
    decide(root, "v3", Verdict.HOLD)
    assert promotion.standing("dopsd", root) == Standing("v1", "v3")
    decide(root, "v4", Verdict.PROMOTE)
    assert promotion.standing("dopsd", root) == Standing("v4", "v3")
    assert aliases.aliases("dopsd") == {"champion": "v4", "challenger": "v3"}
    tags = connect().get_model_version("dopsd", "2").tags
    assert tags["verdict"] == "REJECT"


def test_deciding_again_on_the_same_evidence_moves_nothing(root: Path) -> None:
    decide(root, "v1", Verdict.PROMOTE)
    decide(root, "v2", Verdict.PROMOTE)
    decide(root, "v1", Verdict.PROMOTE)
    assert champions(root) == ["v1", "v2"]


def test_a_verdict_under_new_margins_counts(root: Path) -> None:
    decide(root, "v1", Verdict.HOLD)
    decide(root, "v1", Verdict.PROMOTE, margins="wider")
    assert promotion.standing("dopsd", root) == Standing("v1", None)


def test_in_the_shadow_a_verdict_is_entered_and_moves_nothing_until_it_counts(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(root, "v1", Verdict.PROMOTE)
    with monkeypatch.context() as shadow:
        shadow.setenv(SHADOW, "yes")
        decide(root, "v2", Verdict.PROMOTE)
        decide(root, "v2", Verdict.PROMOTE)
        assert promotion.standing("dopsd", root) == Standing("v1", None)
    decide(root, "v2", Verdict.PROMOTE)
    assert [(row.action, row.champion) for row in ledger.read(root)] == [
        ("decide", "v1"), ("shadow", "v1"), ("decide", "v2"),
    ]  # fmt: skip
    assert succession(ledger.read(root)) == ["v1", "v2"]


def test_a_decision_against_a_former_champion_is_refused(root: Path) -> None:
    decide(root, "v1", Verdict.PROMOTE)
    with pytest.raises(Moved, match="the champion is v1 by now, v2 was compared with None"):
        promotion.decide("dopsd", "v2", Decision(Verdict.PROMOTE, ()), rival=None, evidence={}, root=root)
    assert champions(root) == ["v1"]


def test_of_two_promoters_at_once_one_wins(root: Path) -> None:
    decide(root, "v1", Verdict.PROMOTE)
    known, refused, together = promotion.standing("dopsd", root), [], threading.Barrier(2)

    def ask(version: str) -> None:
        together.wait()
        try:
            promote(root, version, known)
        except Moved:
            refused.append(version)

    both = [threading.Thread(target=ask, args=[version]) for version in ("v2", "v3")]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(refused) == 1
    winner = ({"v2", "v3"} - set(refused)).pop()
    assert champions(root) == ["v1", winner]
    assert aliases.aliases("dopsd")["champion"] == winner


def test_a_rejected_version_is_promoted_only_by_who_insists(root: Path) -> None:
    decide(root, "v1", Verdict.REJECT)
    with pytest.raises(ValueError, match="--despite-rejection insists"):
        promote(root, "v1")
    promote(root, "v1", insists=True)
    with pytest.raises(ValueError, match="v1 is champion already"):
        promote(root, "v1")
    assert ledger.read(root)[-1].by == promotion.person()


def test_rolling_back_walks_back_through_the_champions(root: Path) -> None:
    for version in ("v1", "v2", "v3"):
        promote(root, version)
    for left in (["v1", "v2"], ["v1"]):
        promotion.rollback("dopsd", "ugly", root, known=promotion.standing("dopsd", root))
        assert succession(ledger.read(root)) == left
        assert promotion.standing("dopsd", root).champion == left[-1]
    with pytest.raises(ValueError, match="no champion of dopsd before v1"):
        promotion.rollback("dopsd", "ugly", root, known=promotion.standing("dopsd", root))
    promote(root, "v4")
    assert succession(ledger.read(root)) == ["v1", "v4"]


def test_who_gives_no_reason_moves_nothing(root: Path) -> None:
    for version in ("v1", "v2"):
        promote(root, version)
    known = promotion.standing("dopsd", root)
    with pytest.raises(ValueError, match="a reason is wanted"):
        promotion.promote("dopsd", "v1", " ", root, known=known, despite_rejection=False)
    with pytest.raises(ValueError, match="a reason is wanted"):
        promotion.rollback("dopsd", "", root, known=known)
    assert champions(root) == ["v1", "v2"]


def test_a_move_that_was_entered_only_is_finished(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promote(root, "v1")
    with monkeypatch.context() as crash, pytest.raises(KeyboardInterrupt):
        crash.setattr(aliases, "move", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        promote(root, "v2", promotion.Standing("v1"))
    assert aliases.aliases("dopsd")["champion"] == "v1"
    assert promotion.standing("dopsd", root).champion == "v2"
    assert aliases.aliases("dopsd")["champion"] == "v2"


def test_an_alias_that_was_set_outside_is_entered_as_found(root: Path) -> None:
    connect().set_registered_model_alias("dopsd", "champion", "2")  # as by hand, or before there was a ledger
    assert promotion.standing("dopsd", root).champion == "v2"
    promote(root, "v3")
    connect().set_registered_model_alias("dopsd", "champion", "1")
    assert promotion.standing("dopsd", root).champion == "v1"
    assert [(row.action, row.champion) for row in ledger.read(root)] == [
        ("found", "v2"), ("promote", "v3"), ("found", "v1"),
    ]  # fmt: skip


def test_a_ledger_that_lost_its_end_is_told(root: Path) -> None:
    promote(root, "v1")
    promote(root, "v2")
    file = root / "ledger.jsonl"
    kept = file.read_text()
    file.write_text(kept.splitlines(keepends=True)[0])
    with pytest.raises(ValueError, match="the ledger lacks the last move of dopsd"):
        promotion.standing("dopsd", root)
    copy = run_record.read("dopsd", "v2", "ledger.jsonl")
    assert copy == kept


def test_who_was_champion_then(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promote(root, "v1")
    promote(root, "v2")
    times = ("2026-10-01T12:00:00+00:00", "2026-10-03T12:00:00+00:00")
    entries = [replace(row, at=at) for row, at in zip(ledger.read(root), times, strict=True)]
    monkeypatch.setattr(ledger, "read", lambda _: entries)
    known = {when: champion_at("dopsd", when, root) for when in (
        "2026-09-30", "2026-10-01", "2026-10-01T11:00", "2026-10-01T14:00+01:00", "2026-10-02", "2026-10-03",
    )}  # fmt: skip
    assert [row and row.champion for row in known.values()] == [None, "v1", None, "v1", "v1", "v2"]
    with pytest.raises(ValueError, match="is no time"):
        champion_at("dopsd", "yesterday", root)
