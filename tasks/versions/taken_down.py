"""Versions that learnt from a picture which was taken down, or descend from one: records, that nobody loads any more.

>>> check("dopsd", "v2")
"""

from tasks.takedown.refusal import refusal
from tasks.tracking import connect

TAG = "takedown"
"""The tag of such a version; its value names the receipt."""


def receipt_of(name: str, version: str) -> str | None:
    """Name the receipt of the takedown that hit a version; None where none did."""
    found: str | None = connect().get_model_version(name, version.removeprefix("v")).tags.get(TAG)
    return found


def taken(name: str) -> dict[str, str]:
    """List these versions, each with its receipt."""
    found = connect().search_model_versions(f"name='{name}'")
    return {f"v{row.version}": row.tags[TAG] for row in found if TAG in row.tags}


def check(name: str, version: str) -> None:
    """Raise ValueError for a version that was taken down, naming the receipt."""
    if receipt := receipt_of(name, version):
        raise refusal(version, receipt)
