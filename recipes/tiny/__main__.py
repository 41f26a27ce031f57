"""The recipe of the tiny models, one resumable command with a size dial.

python -m recipes.tiny make --size 1          # fit everything and ship it to models/; go on where it stopped
python -m recipes.tiny refine --family flux2-klein   # one family alone, on the other models as they were shipped
python -m recipes.tiny measure                # the numbers of docs/tiny-base*.md
python -m recipes.tiny cost --size 2          # the evaluations that distilling takes
python -m recipes.tiny sample                 # the sample folder of one new concept
python -m recipes.tiny show --out world.png   # a look at the world
"""

from dataclasses import astuple
from pathlib import Path
from random import Random
from typing import Annotated, Any

import torch
import torch.distributed as dist
import typer
from diffusers import AutoencoderKL
from transformers import Qwen3VLForConditionalGeneration

from dopsd.family import Network
from recipes.tiny import architecture, flux2_klein, shipment, z_image
from recipes.tiny.autoencoder import fit_autoencoder
from recipes.tiny.dedistillation import fit_dedistillation
from recipes.tiny.denoiser import fit_denoiser
from recipes.tiny.distillation import evaluations, fit_student
from recipes.tiny.drawing import draw
from recipes.tiny.features import fit_clip, fit_dino
from recipes.tiny.fit import rank
from recipes.tiny.line import Line, Shared
from recipes.tiny.measure import measure
from recipes.tiny.pictures import as_image, sheet
from recipes.tiny.report import write_report
from recipes.tiny.samples import write_samples
from recipes.tiny.vision_language import fit_vision_language
from recipes.tiny.world import all_concepts, scene_of

_ROWS = 30_000
_LINES = {line.family: line for line in (z_image.LINE, flux2_klein.LINE)}
app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

Size = Annotated[float, typer.Option(help="Dial of every fit's steps; 1 is what is shipped.")]
Device = Annotated[str, typer.Option(help="Where to fit: cpu, or cuda.")]
Runs = Annotated[Path, typer.Option(help="Where the fits keep their state.")]
Chosen = Annotated[str, typer.Option(help=f"One of {', '.join(_LINES)}.")]
Models = Annotated[Path, typer.Option(help="Where the models are shipped.")]


@app.command()
def make(
    size: Size = 1.0, device: Device = "cpu", runs: Runs = Path("runs/tiny"), models: Models = Path("models")
) -> None:
    """Fit and ship the tiny models, from nothing."""
    _settle(device, runs)
    dino, clip = fit_dino(runs, size=size), fit_clip(runs, size=size)
    vae, vlm = fit_autoencoder(runs, size=size), fit_vision_language(runs, size=size)
    if rank() == 0:
        shipment.ship_dino(models / "tiny-dino", dino)
        shipment.ship_clip(models / "tiny-clip", clip)
        shipment.ship_vlm(models / "tiny-qwen3-vl", vlm)
    for line in _LINES.values():
        _fit(line, Shared(vae, vlm), runs / line.family, models, size=size)


@app.command()
def refine(
    family: Chosen = "z-image",
    size: Size = 1.0,
    device: Device = "cpu",
    runs: Annotated[Path | None, typer.Option(help="Where the fits keep their state; a folder a family.")] = None,
    models: Models = Path("models"),
) -> None:
    """Fit a family's shipped parent further, or from nothing where there is none, and distil it; nothing else moves."""
    line, runs = _LINES[family], runs or Path("runs/refine", family)
    _settle(device, runs)
    vlm = Qwen3VLForConditionalGeneration.from_pretrained(models / "tiny-qwen3-vl", dtype=torch.float32).to(device)
    vae = AutoencoderKL.from_pretrained(models / "tiny-z-image" / "vae", torch_dtype=torch.float32).to(device)
    parent = models / f"{line.name}-parent" / "transformer"
    start = type(line.transformer()).from_pretrained(parent).float().to(device).train() if parent.is_dir() else None
    _fit(line, Shared(vae.eval(), vlm.eval()), runs, models, size=size, start=start)


def _fit(line: Line, shared: Shared, runs: Path, models: Path, *, size: float, start: Network | None = None) -> None:
    """Fit the parent of a line, distil it, learn how to undo that, ship all three."""
    vae: Any = line.autoencoder(shared.vae)
    rows = line.pool(runs, vae, shared.vlm, rows=max(1, int(_ROWS * size)))
    parent = fit_denoiser(runs, line, rows, size=size, start=start)
    student = fit_student(runs, line, parent, rows, size=size)
    dedistilled = fit_dedistillation(runs, line, student, rows, size=size)
    if rank() == 0:
        shipment.ship_pipeline(models / f"{line.name}-parent", line, parent, vae, shared.vlm, is_distilled=False)
        shipment.ship_pipeline(models / line.name, line, student, vae, shared.vlm, is_distilled=True)
        shipment.ship_adapter(models / f"{line.name}-dedistillation", line, dedistilled)


def _settle(device: str, runs: Path) -> None:
    """Make every tensor on `device`, one thread a process, and join torchrun's other processes if there are any."""
    torch.set_default_device(device)
    torch.set_num_threads(1)
    if dist.is_torchelastic_launched():
        dist.init_process_group("gloo" if device == "cpu" else "nccl")
    runs.mkdir(parents=True, exist_ok=True)


@app.command("measure")
def measure_models(
    family: Chosen = "z-image", models: Models = Path("models"), docs: Path = Path("docs"), threads: int = 2
) -> None:
    """Measure a family's shipped models and write docs/tiny-base*.md and docs/tiny-base*.json."""
    torch.set_num_threads(threads)
    write_report(family, measure(family, models), models, docs)


@app.command()
def cost(size: Size = 1.0, processes: int = 2) -> None:
    """Count the evaluations of a distillation, prepared, forward and backward, for `dopsd compare --second-stage`."""
    print(*astuple(evaluations(size=size, num_processes=processes)), sep=",")


@app.command()
def sample(out: Path = Path("samples/new-concept")) -> None:
    """Draw the sample folder: twelve pictures of one unseen concept, seven of them with a caption."""
    write_samples(out)


@app.command()
def show(out: Path = Path("world.png"), seed: int = 0) -> None:
    """Draw a sheet of scenes."""
    rng = Random(seed)
    concepts = all_concepts(unseen=False)
    sheet(
        as_image(image) for image in draw([scene_of(rng.choice(concepts), rng) for _ in range(96)], architecture.SIDE)
    ).save(out)


if __name__ == "__main__":
    app()
