"""Metrics are found by name, and one that is not asked for costs nothing."""

import subprocess
import sys
from importlib import import_module

import pytest

from dopsd.metrics.catalogue import _WHERE, metric


@pytest.mark.parametrize("name", sorted(_WHERE))
def test_every_name_leads_somewhere(name: str) -> None:
    module, kind = _WHERE[name]
    assert metric(name) is getattr(import_module(module), kind)


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no metric 'fad': choose one of dino_d, clip_s"):
        metric("fad")


def test_asking_for_one_metric_imports_no_other() -> None:
    code = (
        "import sys; from dopsd.metrics.catalogue import metric; print('torch' in sys.modules); metric('kid'); "
        "print(*sorted(name for name in sys.modules if name.startswith(('dopsd.metrics.', 'transformers'))))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert said == ["False", *(f"dopsd.metrics.{name}" for name in ("catalogue", "clouds", "eyes", "kernel"))]
