"""Which weights a folder holds, by the digest of what decides that; no torch.

$ python -c "from pathlib import Path; from dopsd.revision import of_folder; print(of_folder(Path('models/tiny-dino')))"
"""

import hashlib
from pathlib import Path

_DECISIVE = {".safetensors", ".json", ".txt", ".jinja", ".model"}


def decisive(folder: Path) -> list[Path]:
    """List the files of a model's folder that say what it computes, by name."""
    return sorted(path for path in folder.rglob("*") if path.suffix in _DECISIVE and path.is_file())


def of_folder(folder: Path) -> str:
    """Digest names and bytes of these files, 12 hex digits."""
    digest = hashlib.sha256()
    for path in decisive(folder):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]
