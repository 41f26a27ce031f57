"""The table of stages is closed and says each thing once."""

from importlib.util import find_spec

import pytest

from tasks.pipeline import PLACES, STAGES, from_stage, producer, stage


def test_every_place_that_is_read_comes_from_outside_or_from_an_earlier_stage() -> None:
    written = {place for place in PLACES if producer(place) is None}
    for row in STAGES:
        assert set(row.reads) <= written, row.name
        written |= set(row.writes)


def test_every_place_is_written_by_one_stage_at_most_and_read_by_one_at_least() -> None:
    written = [place for row in STAGES for place in row.writes]
    assert len(set(written)) == len(written)
    assert {place for row in STAGES for place in (*row.reads, *row.writes)} == set(PLACES)


def test_every_stage_has_a_module_and_its_own_section() -> None:
    for row in STAGES:
        assert find_spec(row.module), row.name
        assert row.params[0] == row.name


def test_a_stage_is_found_by_its_name_and_a_wrong_name_is_told() -> None:
    assert stage("train").writes == ("adapter", "training_run")
    with pytest.raises(ValueError, match="no stage 'tune': choose one of ingest, caption"):
        stage("tune")


def test_what_follows_a_stage_begins_with_it() -> None:
    assert [row.name for row in from_stage("evaluate")] == ["evaluate", "register"]
    writer = producer("captions")
    assert writer and writer.name == "caption"
    assert producer("base") is None
