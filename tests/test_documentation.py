"""Every command that a page tells a reader to type is typed by .ci/run or a test, or is named here with the reason."""

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent
_TYPED_BY_A_TEST = {
    "datasets.md": "tests/tasks/test_imported.py",
    "incremental.md": "tests/flows/test_continual_tuning.py",
    "lineage.md": "tests/flows/test_lineage_commands.py",
    "operations.md": "tests/flows/test_serving.py",
}
_PAGES = [_ROOT / "README.md", _ROOT / "CONTRIBUTING.md", *sorted((_ROOT / "docs").glob("*.md"))]
_PROGRAMS = "make|dopsd|dvc|mlflow|prefect|python|pytest|torchrun|hf|git|ruff|mypy"
_COMMAND = re.compile(rf"^(?: {{4}}|\t)(?:\$ )?((?:\w+=\S+ )*(?:{_PROGRAMS}) .*)$")
_NOT_RUN = {
    "git clone": "the reader has done it",
    "hf download": "nothing is downloaded while we test",
    "make base": "fits every tiny model from nothing: hours",
    "python -m dopsd.bench train --family z-image --size full": "wants a GPU",
    "python -m dopsd.bench train --family flux2-klein": "wants a GPU",
    "python -m dopsd.bench embed --family z-image --size full": "wants a GPU",
    "python -m dopsd.bench sample --family z-image --size full": "wants a GPU",
    "python -m dopsd.bench start --family z-image --size full": "wants a GPU",
    "python -m dopsd.bench count": "counts for minutes; tests/dopsd/test_bench.py counts the tiny size",
    "python -m recipes.tiny make": "is what `make base` runs: hours",
    "python -m recipes.tiny refine": "fits for an hour, or wants a GPU",
    "python -m recipes.tiny measure": "tests/recipes/test_tiny_base.py measures the same numbers, and writes nothing",
}


def _commands(page: Path) -> list[str]:
    """List what a page tells to type: indented lines, and what stands behind a semicolon too."""
    text = page.read_text(encoding="utf-8")
    lines = [found[1].split("  #")[0].split("   ")[0] for found in map(_COMMAND.match, text.splitlines()) if found]
    return [part.strip() for line in lines for part in line.split("; ")]


def _typed() -> str:
    sources = [(_ROOT / ".ci" / "run"), *sorted((_ROOT / "tests").rglob("*.py"))]
    texts = [path.read_text(encoding="utf-8") for path in sources if path != Path(__file__)]
    return "\n".join(texts).replace(".venv/bin/", "")


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_run(page: Path) -> None:
    if test := _TYPED_BY_A_TEST.get(page.name):
        assert page.name in (_ROOT / test).read_text(encoding="utf-8")
        return
    typed = _typed()
    unrun = [
        command
        for command in _commands(page)
        if command not in typed and not any(command.startswith(known) for known in _NOT_RUN)
    ]
    assert not unrun, f"{page.name} tells readers to type what nothing runs: {unrun}"


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing, f"{page.name} links to {missing}"
