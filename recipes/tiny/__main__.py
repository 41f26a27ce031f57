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

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

Runs = Annotated[Path, typer.Option(help="Where the fits keep their state.")]
Models = Annotated[Path, typer.Option(help="Where the finished models go.")]


@app.command()
def make(
    size: Annotated[float, typer.Option(help="Dial of every fit's steps; 1 is what is shipped.")] = 1.0,
    threads: Annotated[int, typer.Option(help="Torch threads a process.")] = 1,
    runs: Runs = Path("runs/tiny"),
    out: Models = Path("models"),
) -> None:
    """Fit and ship the tiny models."""
    torch.set_num_threads(threads)
    if dist.is_torchelastic_launched():
        dist.init_process_group("gloo")
    runs.mkdir(parents=True, exist_ok=True)
    dino, clip = fit_dino(runs, size=size), fit_clip(runs, size=size)
    vae, vlm = fit_autoencoder(runs, size=size), fit_vision_language(runs, size=size)
    rows = pool(runs, vae, vlm, rows=max(1, int(30_000 * size)))
    parent = fit_denoiser(runs, rows, size=size)
    student = fit_student(runs, parent, rows, size=size)
    if rank() == 0:
        shipment.ship_dino(out / "tiny-dino", dino)
        shipment.ship_clip(out / "tiny-clip", clip)
        shipment.ship_vlm(out / "tiny-qwen3-vl", vlm)
        shipment.ship_pipeline(out / "tiny-z-image-parent", parent, vae, vlm)
        shipment.ship_pipeline(out / "tiny-z-image", student, vae, vlm)


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
