"""prefect.yaml is valid and names a flow that is there."""

from importlib import import_module
from pathlib import Path

import yaml
from prefect.cli.deploy._models import DeploymentConfig
from prefect.flows import Flow

ROOT = Path(__file__).parents[2]
