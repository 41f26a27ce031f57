"""What planning, a run with nothing to do and three images more cost here, each number beside `dvc repro` alone.

dopsd bench incremental --images 1000
"""

import json
from typing import Annotated

import typer
from rich.console import Console

from flows.increment import Measured, measured
from flows.mistakes import mistakes_told


def incremental(
    images: Annotated[int, typer.Option(min=4, help="So many drawn images to begin with.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")] = False,
) -> None:
    """Time the plan, a run with nothing to do, and one with three images more, in a workspace that is then removed.

    The stages are ingest, caption and embed, with the models and params of this folder's params.yaml.
    """
    with mistakes_told():
        found = measured(images)
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        _show(found, Console(highlight=False, soft_wrap=True))


def _show(found: Measured, console: Console) -> None:
    """Print a line a number; what DVC alone does stands in brackets."""
    first, more = found.first, found.three_more
    console.print(f"{found.images} images, all computed       {first.seconds:8.2f} s   (embed: {first.embed})")
    console.print(f"dopsd plan                    {found.plan:8.2f} s   (dvc status {found.status:.2f} s)")
    console.print(f"dopsd run, nothing to do      {found.nothing:8.2f} s   (dvc repro {found.nothing_alone:.2f} s)")
    console.print(f"plan of 3 images more         {found.plan_of_more:8.2f} s   (it says of embed: {found.promised})")
    console.print(
        f"dopsd run, 3 images more      {more.seconds:8.2f} s   "
        f"(dvc repro without the stores {found.three_more_alone.seconds:.2f} s)"
    )
    console.print(f"  embed                       {more.embed} ({found.three_more_alone.embed} without the stores)")
    console.print(f"  found in the stores         {100 * found.hit_rate:8.2f} % of images")
    console.print(f"  an image's entries, read and verified in {found.hit_ms:.3f} ms")
