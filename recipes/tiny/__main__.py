"""The recipe of the tiny models, one resumable command with a size dial.

python -m recipes.tiny make --size 1          # fit everything and ship it to models/; go on where it stopped
python -m recipes.tiny measure                # the numbers of docs/tiny-base.md
python -m recipes.tiny sample                 # the sample folder of one new concept
python -m recipes.tiny show --out world.png   # a look at the world
"""

from pathlib import Path
from random import Random
from typing import Annotated

import torch
import torch.distributed as dist
import typer
from diffusers import ZImagePipeline
from transformers import Qwen3VLForConditionalGeneration

from recipes.tiny import architecture, shipment
from recipes.tiny.autoencoder import fit_autoencoder
from recipes.tiny.denoiser import fit_denoiser
from recipes.tiny.distillation import fit_student
from recipes.tiny.drawing import draw
from recipes.tiny.features import fit_clip, fit_dino
from recipes.tiny.fit import rank
from recipes.tiny.measure import measure
from recipes.tiny.pictures import as_image, sheet
from recipes.tiny.pool import pool
from recipes.tiny.report import write_report
from recipes.tiny.samples import write_samples
from recipes.tiny.vision_language import fit_vision_language
from recipes.tiny.world import all_concepts, scene_of

_ROWS = 30_000
app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

Size = Annotated[float, typer.Option(help="Dial of every fit's steps; 1 is what is shipped.")]
Device = Annotated[str, typer.Option(help="Where to fit: cpu, or cuda.")]
Runs = Annotated[Path, typer.Option(help="Where the fits keep their state.")]
Models = Annotated[Path, typer.Option(help="Where the models are shipped.")]


@app.command()
def make(
    size: Size = 1.0, device: Device = "cpu", runs: Runs = Path("runs/tiny"), models: Models = Path("models")
) -> None:
    """Fit and ship the tiny models, from nothing."""
    _settle(device, runs)
    dino, clip = fit_dino(runs, size=size), fit_clip(runs, size=size)
    vae, vlm = fit_autoencoder(runs, size=size), fit_vision_language(runs, size=size)
    rows = pool(runs, vae, vlm, rows=max(1, int(_ROWS * size)))
    parent = fit_denoiser(runs, rows, size=size)
    student = fit_student(runs, parent, rows, size=size)
    if rank() == 0:
        shipment.ship_dino(models / "tiny-dino", dino)
        shipment.ship_clip(models / "tiny-clip", clip)
        shipment.ship_vlm(models / "tiny-qwen3-vl", vlm)
        shipment.ship_pipeline(models / "tiny-z-image-parent", parent, vae, vlm)
        shipment.ship_pipeline(models / "tiny-z-image", student, vae, vlm)


@app.command()
def refine(
    size: Size = 1.0, device: Device = "cpu", runs: Runs = Path("runs/refine"), models: Models = Path("models")
) -> None:
    """Fit the shipped parent further and distil it again; all other models stay as they are."""
    _settle(device, runs)
    vlm = Qwen3VLForConditionalGeneration.from_pretrained(models / "tiny-qwen3-vl", dtype=torch.float32).to(device)
    base = ZImagePipeline.from_pretrained(models / "tiny-z-image-parent", torch_dtype=torch.float32).to(device)
    rows = pool(runs, base.vae, vlm.eval(), rows=max(1, int(_ROWS * size)))
    parent = fit_denoiser(runs, rows, size=size, start=base.transformer.train())
    student = fit_student(runs, parent, rows, size=size)
    if rank() == 0:
        shipment.ship_pipeline(models / "tiny-z-image-parent", parent, base.vae, vlm)
        shipment.ship_pipeline(models / "tiny-z-image", student, base.vae, vlm)


def _settle(device: str, runs: Path) -> None:
    """Make every tensor on `device`, one thread a process, and join torchrun's other processes if there are any."""
    torch.set_default_device(device)
    torch.set_num_threads(1)
    if dist.is_torchelastic_launched():
        dist.init_process_group("gloo" if device == "cpu" else "nccl")
    runs.mkdir(parents=True, exist_ok=True)


@app.command("measure")
def measure_models(models: Models = Path("models"), threads: int = 2) -> None:
    """Measure the shipped models and write docs/tiny-base.md and docs/tiny-base.json."""
    torch.set_num_threads(threads)
    write_report(measure(models), Path("docs"))


@app.command()
def sample(out: Path = Path("samples/new-concept")) -> None:
    """Draw the sample folder: ten pictures of one unseen concept, six of them with a caption."""
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
