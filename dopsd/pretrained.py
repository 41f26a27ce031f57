"""Where weights come from: a directory in the layout of the hub, or a hub id, `name` or `name@revision`.

$ python -c "from dopsd.pretrained import named; print(named('models/tiny-dino'))"  # tiny-dino@3f0c...

HF_HUB_OFFLINE is honoured, weights are read from safetensors alone, and code from a model repository never runs.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers.utils.logging
import torch
from huggingface_hub.errors import GatedRepoError
from safetensors import SafetensorError
from transformers.utils import logging
from transformers.utils.hub import cached_file, extract_commit_hash

from dopsd.placement import Placement
from dopsd.revision import of_folder

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")


@dataclass(frozen=True)
class _Source:
    """What `from_pretrained` takes: a directory or hub id, and the revision of the latter."""

    name: str
    revision: str | None


def load(kind: Any, model: str | Path, part: str = "", **options: Any) -> Any:
    """Call `kind.from_pretrained` on `part` (a subfolder) of `model`.

    Raises FileNotFoundError naming what is missing and the mend, and ValueError for a damaged weights file.
    """
    source, where = _located(model), {"subfolder": part} if part else {}
    if source.revision is not None:
        where["revision"] = source.revision
    try:
        with _quietly():
            return kind.from_pretrained(source.name, **where, **options)
    except SafetensorError as error:
        raise ValueError(f"the weights of {Path(source.name, part)} are damaged ({error}): fetch them again") from error
    except OSError as error:
        reason = str(error).strip().splitlines()[0]
        raise FileNotFoundError(
            f"{kind.__name__} cannot be read from {Path(source.name, part)}: {reason}\n{_mend(error, source.name)}"
        ) from error


def load_network(kind: Any, model: str | Path, part: str = "", **options: Any) -> Any:
    """Call `load` for weights, from safetensors alone, and refuse files that lack some: they would be made up.

    Raises ValueError naming the first of them; weights that the network has no place for are left aside.
    """
    network, found = load(kind, model, part, **weights(**options), output_loading_info=True)
    if missing := sorted(found["missing_keys"]):
        where, named_ones = Path(model, part), ", ".join(missing[:3])
        said = f"{where} lacks {len(missing)} weights of {kind.__name__} ({named_ones} ...)"
        raise ValueError(f"{said}: is it of another family? If it is not, fetch it again")
    return network


def load_placed(kind: Any, model: str | Path, part: str, placement: Placement) -> Any:
    """Call `load_network` for a model of diffusers that is not to learn, straight to where `placement` says.

    Numbers are turned into its format one tensor at a time, whatever the files hold; HF_ENABLE_PARALLEL_LOADING=1 has
    diffusers read several files at once.
    """
    try:
        network = load_network(kind, model, part, torch_dtype=placement.dtype, device_map=placement.device)
    except NotImplementedError:  # a weight that no file holds can be put nowhere; on the way to nowhere it is named
        load_network(kind, model, part, torch_dtype=placement.dtype)
        raise
    return network.eval().requires_grad_(False)


def load_whole(kind: Any, model: str | Path) -> Any:
    """Call `load_network` in fp32."""
    return load_network(kind, model, dtype=torch.float32)


def weights(**options: Any) -> dict[str, Any]:
    """Options that every network is loaded with: safetensors only, plus `options`."""
    return {"use_safetensors": True, **options}


def named(model: str | Path) -> str:
    """Name `model` with its revision, as metrics and manifests carry it: tiny-dino@3f0c5e0ff1a2."""
    return f"{_located(model).name.rstrip('/').rsplit('/', 1)[-1]}@{revision(model)}"


def revision(model: str | Path) -> str:
    """Tell which weights these are: the commit on the hub, or 12 hex digits of the digest of a directory's files."""
    source = _located(model)
    if not Path(source.name).is_dir():
        return _commit(source)[:12]
    return of_folder(Path(source.name))


def _mend(error: OSError, name: str) -> str:
    """Say what to do about a model that cannot be read; who guards a gated one is in what caused the error."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, GatedRepoError):
        cause = cause.__cause__ or cause.__context__
    if cause is not None:
        return f"Its makers ask you to accept terms at https://huggingface.co/{name}: do, then hf auth login"
    return (
        "Check that the directory is complete (config and *.safetensors), or fetch the model into the "
        "Hugging Face cache: hf download NAME"
    )


def _commit(source: _Source) -> str:
    for index in ("model_index.json", "config.json"):
        found = cached_file(source.name, index, revision=source.revision, _raise_exceptions_for_missing_entries=False)
        if found:
            return str(extract_commit_hash(found, None))
    raise FileNotFoundError(f"{source.name} has neither model_index.json nor config.json: is it a model on the hub?")


def _located(model: str | Path) -> _Source:
    if Path(model).is_dir():
        return _Source(str(model), None)
    name, _, rev = str(model).partition("@")
    # `models/tiny-dino` looks like a hub id; the existing folder `models` tells that a directory was meant.
    if isinstance(model, Path) or not _HUB_ID.fullmatch(name) or Path(name).parent.is_dir():
        raise FileNotFoundError(
            f"there is no model directory {model}: put the model there (config and *.safetensors in the layout of the "
            "hub), or name a hub id such as Tongyi-MAI/Z-Image-Turbo"
        )
    return _Source(name, rev or None)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the bars of both libraries off the screen: the stages draw their own."""
    shown = [library for library in (diffusers.utils.logging, logging) if library.is_progress_bar_enabled()]
    for library in shown:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in shown:
            library.enable_progress_bar()
