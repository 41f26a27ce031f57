"""A run in the shadow: the gate judges what comes of it, and no alias moves.

os.environ[SHADOW] = "yes"    (`dopsd run --shadow`, or `shadow` of a deployment)
"""

import os

SHADOW = "DOPSD_SHADOW"


def is_shadow() -> bool:
    """Tell whether this process, or the run that started it, works in the shadow."""
    return os.environ.get(SHADOW) == "yes"
