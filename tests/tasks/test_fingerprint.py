"""A fingerprint changes with what a stage does, and with nothing else; it is computed without running anything."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dopsd.placement import fastest
from tasks.pipeline import STAGES, stage
from tasks.planning import fingerprint, installation
from tasks.planning.fingerprint import CODE, Fingerprint, check, fingerprints, of, recorded, write
from tests.fake_workspace import FakeWorkspace

STAGE = replace(stage("embed"), params=("embed", "models.base"))
ROOT = Path(__file__).parents[2]
SOURCES = {
    "tasks/params.py": "class Params:\n    embed: dict\n    train: 'Training'\n    models: dict\n"
    "class Training:\n    rate = 1\n",
    "tasks/embed.py": (
        '"""Embed."""\n'
        "import numpy as np\n"
        "from dopsd import captions, noise\n"
        "from dopsd.catalogue import family\n"
        "from tasks.params import Params\n"
        "SIZE = 4\n"
        "def run(params: Params):\n"
        "    'Do it.'\n"
        "    return np.zeros(captions.clean(SIZE)), family('a')\n"
    ),
    "dopsd/captions.py": "import re\nWORDS = ('a', 'b')\ndef clean(text):\n    return text + _tail()\ndef _tail():\n"
    "    return WORDS\ndef unused():\n    import pandas\n    return pandas\n",
    "dopsd/noise.py": "import torch\ndef noise():\n    return torch.zeros(1)\n",
    "dopsd/catalogue.py": "from importlib import import_module\n_MODULES = {'a': 'dopsd.family_a'}\n"
    "def family(name):\n    return import_module(_MODULES[name])\n",
    "dopsd/family_a.py": "import diffusers\nA = diffusers.A\ndef b():\n    return 1\n",
}


def embed(**changed: tuple[str, str]) -> Fingerprint:
    """Compute the fingerprint of embed with one text replaced by another in some files."""
    sources = dict(SOURCES)
    for name, (old, new) in changed.items():
        (path,) = [path for path in sources if path.endswith(f"/{name}.py")]
        assert old in sources[path]
        sources[path] = sources[path].replace(old, new)
    return fingerprints(sources, [STAGE])["embed"]


def changes(**changed: tuple[str, str]) -> set[str]:
    """List the definitions that differ."""
    return {name for name, _ in set(embed().code.items()) ^ set(embed(**changed).code.items())}


def test_only_what_is_reached_is_there() -> None:
    assert set(embed().code) == {
        "tasks/embed.py::run", "tasks/embed.py::SIZE", "tasks/params.py::Params", "tasks/params.py::Params.embed",
        "tasks/params.py::Params.models", "dopsd/captions.py::clean", "dopsd/captions.py::_tail",
        "dopsd/captions.py::WORDS", "dopsd/catalogue.py::family", "dopsd/catalogue.py::_MODULES",
        "dopsd/family_a.py::A", "dopsd/family_a.py::b",
    }  # fmt: skip
    assert set(embed().packages) == {"numpy", "diffusers"}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("embed", '"""Embed."""', '"""Something else."""'),
        ("embed", "'Do it.'", "'Do it well.'\n    # with a comment"),
        ("embed", "np.zeros(captions.clean(SIZE))", "(\n        np.zeros( captions.clean( SIZE ) )\n    )"),
        ("captions", "def unused():", "def not_used():"),
        ("captions", "import re\n", "import re\n\n"),
        ("noise", "zeros", "ones"),
        ("params", "rate = 1", "rate = 2"),
    ],
)
def test_looks_and_what_is_not_reached_do_not_count(name: str, old: str, new: str) -> None:
    assert changes(**{name: (old, new)}) == set()


@pytest.mark.parametrize(
    ("name", "old", "new", "what"),
    [
        ("embed", "SIZE = 4", "SIZE = 4.0", "tasks/embed.py::SIZE"),
        ("captions", "('a', 'b')", "('a', 'c')", "dopsd/captions.py::WORDS"),
        ("captions", "return WORDS", "return WORDS[1:]", "dopsd/captions.py::_tail"),
        ("captions", "import re\n", "print(1)\n", "dopsd/captions.py::<import>"),
        ("noise", "import torch\n", "import torch\ntorch.manual_seed(0)\n", "dopsd/noise.py::<import>"),
        ("family_a", "return 1", "return 2", "dopsd/family_a.py::b"),
    ],
)
def test_what_is_reached_counts(name: str, old: str, new: str, what: str) -> None:
    assert changes(**{name: (old, new)}) == {what}


def test_a_name_that_comes_from_elsewhere_counts_though_the_text_that_uses_it_is_the_same() -> None:
    moved = ("from dopsd import captions, noise", "from dopsd import noise as captions")
    assert "tasks/embed.py::run" in changes(embed=moved, noise=("def noise", "def clean"))


def test_a_decorator_of_ours_is_code_that_runs_at_import() -> None:
    kept = ("def noise", "KEPT = []\ndef keep(f):\n    KEPT.append(f)\n    return f\n@keep\ndef noise")
    assert {"dopsd/noise.py::<import>", "dopsd/noise.py::keep"} <= changes(noise=kept)


def test_what_cannot_be_followed_is_told_with_file_and_line() -> None:
    hidden = ("_MODULES = {'a': 'dopsd.family_a'}", "from os import environ as _MODULES")
    (warning,) = embed(catalogue=hidden).warnings
    assert warning.startswith("dopsd/catalogue.py:4: import_module")
    assert embed().warnings == ()


def test_a_module_that_is_asked_for_names_at_run_time_is_taken_whole() -> None:
    assert "dopsd/captions.py::unused" in embed(embed=("captions.clean(SIZE)", "getattr(captions, 'clean')(SIZE)")).code


def test_a_file_that_is_no_python_is_named() -> None:
    with pytest.raises(ValueError, match=r"dopsd/captions\.py, line 3"):
        embed(captions=("def clean", "def def"))


def test_all_of_this_repository_can_be_followed_and_torch_is_not_imported() -> None:
    script = "import sys; from tasks.planning import fingerprint; found = fingerprint.of(fingerprint.Path())"
    script += "; assert not {'torch', 'numpy'} & {*sys.modules}"
    told = "print(sorted({warning for one in found.values() for warning in one.warnings}))"
    ended = subprocess.run(
        [sys.executable, "-c", f"{script}; {told}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout == "[]\n"


def test_every_stage_of_this_repository_reaches_its_work_and_not_that_of_others() -> None:
    found = of(ROOT)
    assert list(found) == [row.name for row in STAGES]
    assert "dopsd/training.py::train" in found["train"].code
    assert not any(name.startswith("dopsd/training.py") for name in found["embed"].code)
    assert not any(name.startswith("tasks/tracking.py") for name in found["train"].code)
    assert any(name.startswith("tasks/tracking.py") for name in found["register"].code)
    assert "tasks/params.py::Params.train" not in found["ingest"].code


def test_the_kind_of_numbers_is_what_the_stages_will_choose() -> None:
    placement = fastest()
    assert installation.numerics() == {"device": placement.device.type, "dtype": str(placement.dtype)[6:]}


def test_a_library_without_a_distribution_of_its_name_is_found() -> None:
    found = installation.versions(["PIL", "yaml", "json", "no_such_library"])
    assert list(found) == ["PIL", "no_such_library", "yaml"]
    assert found["no_such_library"] == "not installed"


def test_a_stage_under_dvc_refuses_to_run_on_the_fingerprint_of_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = FakeWorkspace.at(tmp_path)
    with pytest.raises(ValueError, match=r"python -m tasks\.planning\.fingerprint"):
        check(stage("train"), tmp_path)
    assert write(of(tmp_path), tmp_path)
    check(stage("train"), tmp_path)
    assert not write(of(tmp_path), tmp_path)
    workspace.code("train", "otherwise")
    check(stage("embed"), tmp_path)
    with pytest.raises(ValueError, match="is not of the code as it is now"):
        check(stage("train"), tmp_path)
    (tmp_path / CODE).write_text("{")
    assert recorded(tmp_path) is None
    assert fingerprint.rooms(tmp_path) == [Path("code/dopsd"), Path("code/tasks")]
