"""What may pass by itself is told from what stays wrong, through whatever wraps it."""

from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from dopsd.processes.termination import Terminated
from tasks.passing import has_passing_failure, may_pass, note, reason


def test_a_server_that_is_away_may_be_back_and_mlflow_wraps_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(MlflowException) as failed:
        mlflow.MlflowClient("http://127.0.0.1:9").search_experiments()
    assert may_pass(failed.value)


@pytest.mark.parametrize(
    ("failure", "passes"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (Terminated(), True),
        (ValueError("train.rank is 0"), False),
        (FileNotFoundError("photos"), False),
        (SystemExit(1), False),
    ],
)
def test_what_stays_wrong_is_not_tried_again(failure: BaseException, passes: object, tmp_path: Path) -> None:
    assert may_pass(failure) == passes
    note(tmp_path, failure)
    assert has_passing_failure(tmp_path) == passes
    note(tmp_path, None)
    assert not has_passing_failure(tmp_path)
    assert reason(tmp_path) == ""


def test_who_is_far_away_is_told_the_reason_in_a_line_and_no_credentials(tmp_path: Path) -> None:
    note(tmp_path, ValueError("the store\n  postgresql://me:secret@host/runs refuses"))
    assert reason(tmp_path) == "ValueError: the store postgresql://***@host/runs refuses"
