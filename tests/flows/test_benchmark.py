"""`dopsd bench train` asks the engine what it is asked, and tells what the engine answers."""

import json
import shlex

import pytest
from typer.testing import CliRunner, Result

from dopsd.bench import train
from flows.cli import app

ANSWER = {"device": "CPU", "dtype": "float32", "date": "today", "rows": [{"method": "sft", "seconds": 0.5, "of": None}]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[train.Question]:
    """Note the questions instead of measuring: tests/dopsd/test_bench.py measures."""
    questions: list[train.Question] = []
    monkeypatch.setattr(train, "measure", lambda question: questions.append(question) or ANSWER)
    return questions


def typed(command: str) -> Result:
    return CliRunner().invoke(app, shlex.split(command.removeprefix("dopsd ")))


def test_every_option_reaches_the_engine(asked: list[train.Question]) -> None:
    said = "--methods dopsd,sft --batch 1,4 --side 512 --num-steps 8 --rank 16 --iterations 3 --json"
    result = typed(f"dopsd bench train --family flux2-klein-4b --size tiny {said}")
    assert json.loads(result.stdout) == ANSWER
    assert asked == [train.Question("flux2-klein-4b", "tiny", ["dopsd", "sft"], [1, 4], 512, 8, 16, 3)]


def test_without_json_there_is_a_table_under_the_machine(asked: list[train.Question]) -> None:
    lines = typed("dopsd bench train --family z-image --size tiny").stdout.splitlines()
    assert lines == ["CPU, float32, today", "method  seconds  of", "   sft      0.5   -"]


def test_a_mistake_is_told_and_ends_with_1(asked: list[train.Question]) -> None:
    result = typed("dopsd bench train --family sdxl")
    assert (result.exit_code, "choose one of z-image" in result.stderr) == (1, True)
