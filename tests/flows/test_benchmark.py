"""`dopsd bench train` asks the engine what it is asked, and tells what the engine answers."""

import json
import shlex
from dataclasses import replace

import pytest
from typer.testing import CliRunner, Result

from dopsd.bench import embed, sample, start, train
from flows.cli import app

ANSWER = {"device": "CPU", "dtype": "float32", "date": "today", "rows": [{"method": "sft", "seconds": 0.5, "of": None}]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[train.Question]:
    """Note the questions instead of measuring: tests/dopsd/test_bench.py measures."""
    questions: list[train.Question] = []
    for engine in (train, embed, sample, start):
        monkeypatch.setattr(engine, "measure", lambda question: questions.append(question) or ANSWER)
    return questions


def typed(command: str) -> Result:
    return CliRunner().invoke(app, shlex.split(command.removeprefix("dopsd ")))


def test_every_option_reaches_the_engine(asked: list[train.Question]) -> None:
    said = "--methods dopsd,sft --batch 1,4 --side 512 --num-steps 8 --rank 16 --iterations 3 --json"
    result = typed(f"dopsd bench train --family flux2-klein-4b --size tiny {said}")
    assert json.loads(result.stdout) == ANSWER
    assert asked == [train.Question("flux2-klein-4b", "tiny", ["dopsd", "sft"], [1, 4], 512, 8, 16, 3)]


def test_other_keys_of_the_recipe_reach_it_too(asked: list[train.Question]) -> None:
    typed("dopsd bench train --family z-image --size tiny --methods sft --set compile=true --set checkpointing=full")
    assert asked[0].training("sft", 1) == replace(asked[0].training("sft", 1), compile=True, checkpointing="full")
    result = typed("dopsd bench train --family z-image --size tiny --methods sft --set compile=maybe")
    assert (result.exit_code, "train.compile is 'maybe': write true or false" in result.stderr) == (1, True)


def test_reading_and_drawing_are_asked_for_alike(asked: list[train.Question]) -> None:
    said = "--family z-image --size tiny --batch 1,8 --side 512 --iterations 3 --json"
    assert json.loads(typed(f"dopsd bench embed {said}").stdout) == ANSWER
    assert json.loads(typed(f"dopsd bench sample {said} --num-steps 8").stdout) == ANSWER
    usual = train.Question("z-image", "tiny", methods=(), batches=[1, 8], side_px=512, iterations=3)
    assert asked == [usual, replace(usual, num_steps=8)]


def test_a_start_is_asked_for_with_the_keys_of_a_recipe(asked: list[train.Question]) -> None:
    said = "--family z-image --size tiny --rank 8 --set weights=full --json"
    assert json.loads(typed(f"dopsd bench start {said}").stdout) == ANSWER
    assert asked == [train.Question("z-image", "tiny", methods=(), batches=[1], rank=8, settings={"weights": "full"})]


def test_without_json_there_is_a_table_under_the_machine(asked: list[train.Question]) -> None:
    lines = typed("dopsd bench train --family z-image --size tiny").stdout.splitlines()
    assert lines == ["CPU, float32, today", "method  seconds  of", "   sft      0.5   -"]


def test_a_mistake_is_told_and_ends_with_1(asked: list[train.Question]) -> None:
    result = typed("dopsd bench train --family sdxl")
    assert (result.exit_code, "choose one of z-image" in result.stderr) == (1, True)
