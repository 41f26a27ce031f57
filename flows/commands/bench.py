"""Measurements of this product, one command each.

dopsd bench --help
"""

import typer

from flows.commands import bench_incremental, benchmark

app = typer.Typer(help="Measure how fast things are here, and in how much memory.", no_args_is_help=True)
app.command()(benchmark.train)
app.command()(benchmark.embed)
app.command()(benchmark.sample)
app.command()(benchmark.start)
app.command()(bench_incremental.incremental)
