"""The aliases of a project's model in MLflow: champion and challenger, with the mark of who moved them last, and base.

>>> aliases("dopsd")  # {"champion": "v3", "challenger": None}

Only `tasks.versions.promotion` moves these two: MLflow keeps no history of them and takes no turns. `base` follows what
the newest version was made on, and is nobody's decision.
"""

from tasks.ancestry.records import BASE
from tasks.tracking import connect
from tasks.versions.ledger import ALIASES

_MOVED_BY = "ledger"


def aliases(name: str) -> dict[str, str | None]:
    """Say which versions are champion and challenger; None for an alias that is not set."""
    found = connect().search_registered_models(f"name='{name}'")
    known = found[0].aliases if found else {}
    return {alias: f"v{known[alias]}" if alias in known else None for alias in ALIASES}


def base(name: str) -> str | None:
    """Say which version is the base; None where the alias is not set."""
    found = connect().search_registered_models(f"name='{name}'")
    return f"v{found[0].aliases[BASE]}" if found and BASE in found[0].aliases else None


def name_base(name: str, version: str) -> None:
    """Set the alias of the base."""
    connect().set_registered_model_alias(name, BASE, version.removeprefix("v"))


def mark(name: str) -> str | None:
    """Read the digest of the ledger's entry that moved the aliases last."""
    found = connect().search_registered_models(f"name='{name}'")
    return found[0].tags.get(_MOVED_BY) if found else None


def move(name: str, champion: str | None, challenger: str | None, moved_by: str) -> None:
    """Set both aliases; `moved_by` is the digest of the ledger's entry that says so, and is kept."""
    store = connect()
    for alias, version in zip(ALIASES, (champion, challenger), strict=True):
        if version:
            store.set_registered_model_alias(name, alias, version.removeprefix("v"))
        else:
            store.delete_registered_model_alias(name, alias)
    store.set_registered_model_tag(name, _MOVED_BY, moved_by)  # last: until here, the ledger has it done again
