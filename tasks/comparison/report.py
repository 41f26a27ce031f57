"""The report of a comparison: a section a table, each with every value behind it as CSV and, mostly, a picture.

    write_report([Section("lora", text, frame, picture)], Path("report"))

Sections that lie there from earlier commands stay, so that a report can be made table by table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pandas as pd

from tasks.comparison.question import Table
from tasks.folders import write_bytes, write_text


@dataclass(frozen=True)
class Section:
    """One table as Markdown, with the values that it stands on, and a picture (PNG) where there is one."""

    name: Table
    text: str
    values: pd.DataFrame
    picture: bytes | None = None


def write_report(sections: Sequence[Section], title: str, out: Path) -> None:
    """Write NAME.md, NAME.csv and NAME.png of each section into `out`, and `report.md` of all that lie there."""
    for section in sections:
        links = [f"Every value: [{section.name}.csv]({section.name}.csv)."]
        if section.picture is not None:
            links.append(f"![{section.name}]({section.name}.png)")
            write_bytes(out / f"{section.name}.png", section.picture)
        write_text(out / f"{section.name}.csv", section.values.to_csv(index=False))
        write_text(out / f"{section.name}.md", "\n\n".join([section.text, *links]) + "\n")
    pages = [out / f"{name}.md" for name in get_args(Table)]
    texts = [page.read_text(encoding="utf-8") for page in pages if page.is_file()]
    write_text(out / "report.md", "\n".join([f"# {title}\n", *texts]))
