"""Pools that a cluster serves: what Kubernetes and Slurm must be told so that our runs compute there.

dopsd pool render kubernetes --image registry.example.org/dopsd:1 --gpus 2 --memory-gib 80 > pool.json
dopsd pool render slurm --gpu-kind a100 --time 8h > worker.sh
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Annotated, Any, Literal

import typer
import yaml

from flows.mistakes import mistakes_told
from tasks.triggers.policy import duration

app = typer.Typer(help="Let a cluster serve a pool.", no_args_is_help=True)

_POOLS = Path(__file__).parents[1] / "pools"
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


@app.callback()
def pool() -> None:
    """Let a cluster serve a pool."""


@dataclass(frozen=True)
class Share:
    """What one run gets of a cluster: `gpus` of a kind (any, where it is empty), cores, GiB of the host's memory."""

    gpus: int = 1
    gpu_kind: str = ""
    cpus: int = 8
    memory_gib: int = 40

    def __post_init__(self) -> None:
        """Refuse a kind that could end the line that it stands in."""
        if self.gpu_kind and not _NAME.fullmatch(self.gpu_kind):
            raise ValueError(f"--gpu-kind is {self.gpu_kind!r}: write it as the cluster does, such as a100")


@app.command()
def render(
    cluster: Annotated[Literal["kubernetes", "slurm"], typer.Argument(help="Who serves the pool.")],
    gpus: Annotated[int, typer.Option(min=0, help="GPUs a run.")] = 1,
    gpu_kind: Annotated[str, typer.Option(help="As the cluster calls them, such as a100.")] = "",
    cpus: Annotated[int, typer.Option(min=1, help="Cores a run.")] = 8,
    memory_gib: Annotated[int, typer.Option(min=1, help="Memory of the host a run, in GiB.")] = 40,
    image: Annotated[str, typer.Option(help="Kubernetes: the image with the libraries.")] = "dopsd:latest",
    claim: Annotated[str, typer.Option(help="Kubernetes: the volume claim that holds the clone.")] = "dopsd",
    secret: Annotated[str, typer.Option(help="Kubernetes: the secret that becomes environment.")] = "dopsd",
    time: Annotated[str, typer.Option(metavar="SPAN", help="Slurm: how long an allocation may last.")] = "12h",
) -> None:
    """Print what the cluster must be told: a base job template for a work pool, or a batch script."""
    with mistakes_told():
        share = Share(gpus, gpu_kind, cpus, memory_gib)
        if cluster == "kubernetes":
            print(json.dumps(template(share, image=image, claim=claim, secret=secret), indent=2))
        else:
            print(script(share, Path(), time), end="")


def template(share: Share, *, image: str, claim: str, secret: str) -> dict[str, Any]:
    """Fill in the defaults of the base job template; secrets stand in it by name alone."""
    said: dict[str, Any] = yaml.safe_load((_POOLS / "kubernetes.yaml").read_text(encoding="utf-8"))
    defaults = {
        "image": image,
        "claim": claim,
        "secret": secret,
        "gpus": share.gpus,
        "cpus": share.cpus,
        "memory": f"{share.memory_gib}Gi",
        "node_selector": {"nvidia.com/gpu.product": share.gpu_kind} if share.gpu_kind else {},
    }
    for name, default in defaults.items():
        said["variables"]["properties"][name]["default"] = default
    return said


def script(share: Share, folder: Path, time: str) -> str:
    """Write the batch script of a worker that lives as long as its allocation; `folder` holds the clone."""
    minutes = int(duration(time).total_seconds()) // 60
    if not minutes:
        raise ValueError(f"--time is {time!r}: Slurm counts minutes, so ask for one at least")
    text = Template((_POOLS / "slurm.sh").read_text(encoding="utf-8"))
    kind = f"{share.gpu_kind}:" if share.gpu_kind else ""
    return text.substitute(
        gpus=share.gpus, kind=kind, cpus=share.cpus, memory_gib=share.memory_gib, time=minutes, folder=folder.resolve()
    )
