"""What every process of ours wants of the libraries: no telemetry, no chatter, time enough for a small machine.

Any program runs under these settings as `python -m tasks.environment mlflow ui`.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

MLFLOW_STORE = "mlflow.db"
"""Where MLflow remembers, from the root, unless MLFLOW_TRACKING_URI says otherwise."""
ARTIFACTS = "MLFLOW_DEFAULT_ARTIFACT_ROOT"
"""Names the place for MLflow's files, such as s3://bucket/mlruns, where it shall not be the folder mlruns."""
CLIENTS_ARTIFACTS = "_MLFLOW_SERVER_ARTIFACT_ROOT"
"""What MLflow reads instead where no server of its stands before the database, as in our runs."""
DEFAULTS: Mapping[str, str] = {
    "DO_NOT_TRACK": "true",  # the word: MLflow does not take 1
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",  # 20 s is not enough on two busy cores
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # it draws one for files of a kilobyte, too
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_ENABLE_PARALLEL_LOADING": "1",  # of models of several files
    # Threads of one process wait for each other: on two busy cores two of them were five times slower than one.
    "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // 4)),
    "PYTHONWARNINGS": "ignore",  # users' terminals; the tests run with warnings as errors
    "GIT_PYTHON_REFRESH": "quiet",
    "GIT_OPTIONAL_LOCKS": "0",  # asking for the status must not rewrite the user's index
}


def settle() -> None:
    """Set what the user has not set; call it before Prefect, MLflow, DVC or transformers is imported."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    if ARTIFACTS in os.environ:
        os.environ.setdefault(CLIENTS_ARTIFACTS, os.environ[ARTIFACTS])


def main(command: list[str]) -> None:
    """Become `command`, a program of this Python's environment or of the system."""
    settle()
    beside = Path(sys.executable).with_name(command[0])
    os.execvp(str(beside) if beside.exists() else command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
