"""The report of a comparison: a section a table, each with every value behind it as CSV and, mostly, a picture.

    write_report([Section("lora", text, frame, picture)], Path("report"))

Sections that lie there from earlier commands stay, so that a report can be made table by table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tasks.comparison.table import by_cell
from tasks.folders import write_bytes, write_text

ORDER = ("lora", "rates", "variants", "cost", "curves", "teachers", "referee", "full", "rates-full")
VALUES = "values"


@dataclass(frozen=True)
class Section:
    """One table of `ORDER` as Markdown, with the values that it stands on, and a picture (PNG) where there is one.

    `has_cells` tells that the values are of cells, prompt by prompt, and can be summed up by them.
    """

    name: str
    text: str
    values: pd.DataFrame
    picture: bytes | None = None
    has_cells: bool = False


def write_report(sections: Sequence[Section], title: str, out: Path) -> None:
    """Write NAME.md, NAME.csv and NAME.png of each section into `out`, and `report.md` of all that lie there.

    NAME.csv has a row a cell where there are cells; what they average lies in `values`.
    """
    for section in sections:
        write_text(out / f"{section.name}.md", "\n\n".join([section.text, *_kept(section, out)]) + "\n")
    pages = [out / f"{name}.md" for name in ORDER]
    texts = [page.read_text(encoding="utf-8") for page in pages if page.is_file()]
    write_text(out / "report.md", "\n".join([f"# {title}\n", *texts]))


def _kept(section: Section, out: Path) -> list[str]:
    """Write what a section stands on, and say where that is."""
    name, said, values = section.name, "Every value", section.values
    if section.has_cells:
        write_text(out / VALUES / f"{name}.csv", values.to_csv(index=False))
        said, values = "Every cell, means over its prompts and noises", by_cell(values).round(6)
    write_text(out / f"{name}.csv", values.to_csv(index=False))
    links = [f"{said}: [{name}.csv]({name}.csv)."]
    if section.picture is not None:
        write_bytes(out / f"{name}.png", section.picture)
        links.append(f"![{name}]({name}.png)")
    return links
