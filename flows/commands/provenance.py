"""What goes out with a model, and whether what came in is what was signed.

dopsd provenance make champion --private-key ../signing.pem --out ../champion
dopsd provenance verify ../champion --public-key ../signing.pub.pem
"""

import importlib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from flows.mistakes import mistakes_told, told
from flows.options import ROOT
from tasks.params import load

app = typer.Typer(help="Say in signed words where a model comes from, and verify them.", no_args_is_help=True)


@app.command()
def make(
    version: Annotated[str, typer.Argument(metavar="champion|vN", help="Which version.")],
    private_key: Annotated[Path, typer.Option(help="Who signs: a private key in PEM, which stays where it is.")],
    out: Annotated[Path, typer.Option(help="The folder to write; a bundle that is there is replaced.")],
) -> None:
    """Write weights, model card, bill of materials and record into a folder, with a signed statement on all of it."""
    with mistakes_told():
        bundle, model = _part("bundle"), load(ROOT).register.model
        trained = importlib.import_module("tasks.versions.registry").fetch(model, version, ROOT)
        bundle.make(ROOT, model, trained, out, private_key)
        key = _part("verification").signer(out)
    told.print(f"{out}: {model} {trained.name}, signed by the key {key}", markup=False, soft_wrap=True)


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A bundle.")],
    public_key: Annotated[Path | None, typer.Option(help="Who should have signed: a public key in PEM.")] = None,
) -> None:
    """Compare every byte of a bundle with what was signed; exit with 1 where a file was changed, is gone or is new."""
    with mistakes_told():
        verification = _part("verification")
        found = verification.verify(folder, public_key)
    for fault in found:
        Console(highlight=False).print(f"{fault.file}  {fault.wrong}", markup=False, soft_wrap=True)
    if found:
        raise typer.Exit(1)
    anyone = "" if public_key else "; that key came with it: --public-key tells whether it is the one you trust"
    told.print(f"{folder}: as signed by the key {verification.signer(folder)}{anyone}", markup=False, soft_wrap=True)


def _part(name: str) -> Any:
    """Import a room of `tasks.provenance`; raises ValueError where the libraries it needs are not installed."""
    try:
        return importlib.import_module(f"tasks.provenance.{name}")
    except ModuleNotFoundError as error:
        mend = "`pip install --constraint constraints.txt --editable '.[provenance]'` brings what this command needs"
        raise ValueError(f"there is no {error.name} here: {mend}") from error
