"""What all tests share: no telemetry, no network, one thread."""

import os

from tasks.environment import settle

os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PREFECT_LOGGING_LEVEL": "CRITICAL"}
os.environ.pop("MLFLOW_TRACKING_URI", None)
settle()
