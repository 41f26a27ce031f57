"""Which versions stay: by default all; with a policy, those that serve, that others descend from, and the newest.

>>> going(known, entries, Keeping.of(newest=20), {"v7"}, datetime.now(UTC))  # {"v3": "not among the newest 20"}
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dopsd.gate import Verdict
from tasks.ancestry.records import Record
from tasks.ancestry.tree import ancestors
from tasks.triggers.policy import duration, spelled
from tasks.versions.ledger import Entry
from tasks.versions.succession import given_up, succession

_RECENT = timedelta(days=7)


@dataclass(frozen=True)
class Keeping:
    """What is kept beyond what is needed: so many of the `newest` versions, those that were `rejected` for so long.

    None keeps all. Whatever it is, what was made or used within the `recent` past stays. What lies in DVC's remotes
    stays but in those of these names.
    """

    newest: int | None = None
    rejected: timedelta | None = None
    recent: timedelta = _RECENT
    remotes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        newest: int | None = None,
        rejected: str | None = None,
        recent: str | None = None,
        remotes: Sequence[str] = (),
    ) -> "Keeping":
        """Read what a person wrote, such as 20, 30d and 12h; raises ValueError naming what is no time span."""
        spared = _read("recent", recent)
        return cls(newest, _read("rejected", rejected), _RECENT if spared is None else spared, tuple(remotes))


def going(
    known: Mapping[str, Record], entries: Sequence[Entry], keeping: Keeping, needed: set[str], now: datetime
) -> dict[str, str]:
    """Say which versions of a project go, and why.

    Whatever the policy says there stay: what serves, the champion that a rollback leads to, the versions in `needed`,
    and all from which one of those that stay descends.
    """
    gone, last = given_up(entries), entries[-1:]
    there = [version for version in known if version not in gone]
    serving = {version for entry in last for version in (entry.champion, entry.challenger)}
    spared = serving | needed | set(succession(entries)[-2:])
    unwanted = {
        version: why
        for version, why in _unwanted(there, known, entries, keeping, now).items()
        if version not in spared and _age(known[version], now) >= keeping.recent
    }
    stays = [version for version in there if version not in unwanted]
    line = {ancestor for version in stays for ancestor in ancestors(known, version)}
    return {version: why for version, why in unwanted.items() if version not in line}


def _unwanted(
    there: Sequence[str], known: Mapping[str, Record], entries: Sequence[Entry], keeping: Keeping, now: datetime
) -> dict[str, str]:
    """Say which versions the policy does not ask for."""
    found = {}
    if keeping.newest is not None:
        found = dict.fromkeys(there[: max(0, len(there) - keeping.newest)], f"not among the newest {keeping.newest}")
    if keeping.rejected is not None:
        verdicts = {entry.version: entry.verdict for entry in entries if entry.verdict}
        rejected = [version for version in there if verdicts.get(version) == Verdict.REJECT]
        old = [version for version in rejected if _age(known[version], now) >= keeping.rejected]
        found |= dict.fromkeys(old, f"rejected more than {spelled(keeping.rejected)} ago")
    return found


def _age(record: Record, now: datetime) -> timedelta:
    return now - datetime.fromisoformat(record.entered["at"])


def _read(name: str, said: str | None) -> timedelta | None:
    try:
        return None if said is None else duration(said)
    except ValueError as error:
        raise ValueError(f"--keep-{name} is {said!r}: {error}") from error
