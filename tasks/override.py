"""Change one value of params.yaml and leave every comment in its place.

    override(Path(), "train.parent", "v3")

What is asked for on the command line is written there, so that DVC sees it, and a rerun by hand does the same.
"""

import io
from pathlib import Path

from ruamel.yaml import YAML

from tasks.folders import write_text
from tasks.params import PARAMS_FILE


def override(root: Path, key: str, value: object) -> bool:
    """Set a dotted key of params.yaml; tells whether that changed anything."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # or long lines would be broken
    said = yaml.load((root / PARAMS_FILE).read_text(encoding="utf-8"))
    section, _, name = key.partition(".")
    values = said.setdefault(section, {})
    if values.get(name) == value:
        return False
    values[name] = value
    text = io.StringIO()
    yaml.dump(said, text)
    write_text(root / PARAMS_FILE, text.getvalue())
    return True
