"""Check prefect.yaml before Prefect reads it: Prefect passes over keys that it does not know, and a typo is one.

check(Path())            raises ValueError naming the deployment, the key and the mend
"""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from prefect.cli.deploy._models import (
    ConcurrencyLimitSpec,
    DeploymentConfig,
    PrefectYamlModel,
    RawScheduleConfig,
    WorkPoolConfig,
)
from prefect.client.schemas.schedules import construct_schedule
from prefect.events.schemas.deployment_triggers import DeploymentTriggerTypes
from prefect.exceptions import MissingFlowError, ParameterTypeError, ScriptError, SignatureMismatchError
from prefect.flows import Flow, load_flow_from_entrypoint
from pydantic import BaseModel, TypeAdapter, ValidationError

from flows.machine import CLUSTER_POOL, POOLS, QUEUES

FILE = "prefect.yaml"
_PARTS: Mapping[str, type[BaseModel]] = {"work_pool": WorkPoolConfig, "concurrency_limit": ConcurrencyLimitSpec}


def check(root: Path) -> None:
    """Raise ValueError with a line for each mistake in prefect.yaml, FileNotFoundError where there is none."""
    path = root / FILE
    if not path.is_file():
        raise FileNotFoundError(f"there is no {FILE} in {root.resolve()}: go to the folder that holds it")
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{FILE} is not YAML: {error}") from error
    if mistakes := list(_mistakes(said, root)):
        raise ValueError("\n".join(f"{FILE}: {mistake}" for mistake in mistakes))


def _mistakes(said: Any, root: Path) -> Iterable[str]:
    if not isinstance(said, Mapping):
        yield "it holds no keys: start with `deployments:`"
        return
    yield from _unknown(said, PrefectYamlModel, "")
    try:
        PrefectYamlModel.model_validate(said)
    except ValidationError as error:
        yield from _found(error, "")
        return
    for number, row in enumerate(said.get("deployments") or []):
        where = f"deployments.{row.get('name', number)}."
        yield from _unknown(row, DeploymentConfig, where)
        yield from _wrong(row, where, root)


def _wrong(row: Mapping[str, Any], where: str, root: Path) -> Iterable[str]:
    """Look into one deployment: its parts, its pool, its times, its events, its flow."""
    for name, kind in _PARTS.items():
        if isinstance(row.get(name), Mapping):
            yield from _unknown(row[name], kind, f"{where}{name}.")
    pool = (row.get("work_pool") or {}).get("name")
    if pool not in (*POOLS, CLUSTER_POOL):
        served = f"{', '.join(POOLS)}, which `dopsd up` serves, or {CLUSTER_POOL}"
        yield f"{where}work_pool.name is {pool!r}: choose one of {served}"
    if pool == "gpu" and (row.get("parameters") or {}).get("pool"):
        yield f"{where}work_pool.name is 'gpu', where a run that sends stages would wait for itself: choose cpu"
    queue = (row.get("work_pool") or {}).get("work_queue_name", "default")
    if queue not in (*QUEUES, "default"):  # Prefect would make it, with the last turn of all
        yield f"{where}work_pool.work_queue_name is {queue!r}: choose one of {', '.join(QUEUES)}"
    for schedule in row.get("schedules") or []:
        yield from _wrong_schedule(schedule, f"{where}schedules.")
    for trigger in row.get("triggers") or []:
        try:
            TypeAdapter(DeploymentTriggerTypes).validate_python(trigger)
        except ValidationError as error:
            yield from _found(error, f"{where}triggers.")
    yield from _wrong_flow(row, where, root)


def _wrong_schedule(said: Mapping[str, Any], where: str) -> Iterable[str]:
    yield from _unknown(said, RawScheduleConfig, where)
    times = {key: said[key] for key in ("cron", "interval", "rrule", "timezone") if key in said}
    try:
        construct_schedule(**times)
    except (ValueError, TypeError) as error:
        yield f"{where}{next(iter(times), 'cron')} is {next(iter(times.values()), None)!r}: {error}"


def _wrong_flow(row: Mapping[str, Any], where: str, root: Path) -> Iterable[str]:
    """Load the flow, and let it judge the parameters."""
    module, _, name = str(row.get("entrypoint")).partition(":")
    if not (root / module).is_file():
        yield f"{where}entrypoint is {row.get('entrypoint')!r}: there is no file {module}"
        return
    try:
        flow: Flow[Any, Any] = load_flow_from_entrypoint(f"{root / module}:{name}", use_placeholder_flow=False)
        parameters = row.get("parameters") or {}
        if parameters.keys() >= set(flow.parameters.required):  # what a deployment leaves open, its runs say
            flow.validate_parameters(parameters)
    except (MissingFlowError, ScriptError, ValueError) as error:
        yield f"{where}entrypoint is {row.get('entrypoint')!r}: {error}"
    except (ParameterTypeError, SignatureMismatchError) as error:
        yield f"{where}parameters do not fit {name}: {error}"


def _unknown(said: Mapping[str, Any], kind: type[BaseModel], where: str) -> Iterable[str]:
    known = [name for key, field in kind.model_fields.items() for name in (key, field.alias) if name]
    for key in said.keys() - set(known):
        near = difflib.get_close_matches(str(key), known, n=1)
        yield f"{where}{key} is no key; " + (f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}")


def _found(error: ValidationError, where: str) -> Iterable[str]:
    for details in error.errors():
        yield f"{where}{'.'.join(str(part) for part in details['loc'])}: {details['msg']}"
