"""Which version is champion: moved by the gate or by a person, one at a time, each move entered in the ledger.

    dopsd promote v7 --reason "asked for by the studio"
    dopsd rollback

The ledger decides and the registry's aliases follow. Whoever moves an alias says who is champion as far as they know;
where that is no longer so the move is refused, so that of two at once one wins.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dopsd.gate import Decision, Verdict
from tasks.tracking import connect
from tasks.versions import aliases, ledger, registry, run_record, taken_down
from tasks.versions.ledger import Entry, Ledger
from tasks.versions.lineage import person
from tasks.versions.shadow import is_shadow
from tasks.versions.succession import given_up, succession


class Moved(ValueError):
    """The champion is another by now than the one that a decision was made against."""


@dataclass(frozen=True)
class Standing:
    """Which versions hold the aliases; None where none does."""

    champion: str | None = None
    challenger: str | None = None


def standing(name: str, root: Path) -> Standing:
    """Say who holds the aliases now, after finishing what a crash left undone."""
    with ledger.held(root) as book:
        return _settled(book, name)


def rival(name: str, version: str, root: Path) -> str | None:
    """Name the champion that a version has to beat; None where there is none, or where it is champion itself."""
    now = standing(name, root).champion
    return None if now == version else now


def decided(name: str, version: str, evidence: Mapping[str, str], root: Path, *, shadows: bool = False) -> Entry | None:
    """Find the gate's last decision on a version, if it went by the same evidence; of `shadows`, too, if asked."""
    actions = ("decide", "shadow") if shadows else ("decide",)
    made = [row for row in _entries(name, root) if row.version == version and row.action in actions]
    return made[-1] if made and dict(made[-1].evidence) == dict(evidence) else None


def decide(
    name: str, version: str, decision: Decision, *, rival: str | None, evidence: Mapping[str, str], root: Path
) -> None:
    """Let the gate's verdict move an alias: PROMOTE makes a champion, HOLD a challenger, REJECT moves nothing.

    Decided before on the same evidence, in the shadow, or of a version that was taken down, it moves nothing. Raises
    Moved where the champion is no longer `rival`.
    """
    with ledger.held(root) as book:
        now = _settled(book, name)
        if decided(name, version, evidence, root, shadows=is_shadow()) is None:
            if rival != (None if now.champion == version else now.champion):
                raise Moved(f"the champion is {now.champion} by now, {version} was compared with {rival}")
            is_still = is_shadow() or taken_down.receipt_of(name, version) is not None
            after = now if is_still else _after(now, version, decision.verdict)
            reason = "\n".join(reason.sentence for reason in decision.reasons)
            entry = Entry(
                name, "shadow" if is_still else "decide", version, "gate", reason, after.champion, after.challenger,
                verdict=str(decision.verdict), rival=rival, evidence=evidence,
            )  # fmt: skip
            _move(book, entry)
    registry.tag(name, version, "verdict", str(decision.verdict))


def promote(name: str, version: str, reason: str, root: Path, *, known: Standing, despite_rejection: bool) -> Entry:
    """Make a version champion because a person says why; raises ValueError where it was rejected, or is champion."""
    _check_reason(reason)
    with ledger.held(root) as book:
        now = _unmoved(_settled(book, name), known)
        version = registry.named(name, version)  # while it is held: `dopsd gc` gives no version up meanwhile
        taken_down.check(name, version)
        if now.champion == version:
            raise ValueError(f"{version} is champion already")
        verdicts = [row.verdict for row in _of(book, name) if row.version == version and row.verdict]
        if verdicts[-1:] == [Verdict.REJECT] and not despite_rejection:
            raise ValueError(f"{version} was rejected (`dopsd champion --log` says why): --despite-rejection insists")
        after = _after(now, version, Verdict.PROMOTE)
        return _move(book, Entry(name, "promote", version, person(), reason, after.champion, after.challenger))


def rollback(name: str, reason: str, root: Path, *, known: Standing) -> Entry:
    """Give the alias back to the champion before this one; again, to the one before that."""
    _check_reason(reason)
    with ledger.held(root) as book:
        now = _unmoved(_settled(book, name), known)
        taken = taken_down.taken(name)
        line = [one for one in succession(_of(book, name)) if one == now.champion or one not in taken]
        if len(line) < 2 or line[-2] == line[-1]:
            raise ValueError(
                f"there was no champion of {name} before {now.champion}: `dopsd promote` makes another one"
            )
        after = _after(now, line[-2], Verdict.PROMOTE)
        return _move(book, Entry(name, "rollback", line[-2], person(), reason, after.champion, after.challenger))


def give_up(name: str, version: str, reason: str, root: Path) -> None:
    """Enter that a version is given up, once, and take it out of the registry; raises Moved where it serves by now.

    MLflow gives its number to no other version.
    """
    with ledger.held(root) as book:
        now = _settled(book, name)
        if version in (now.champion, now.challenger):
            raise Moved(f"{version} of {name} serves by now, and is kept: look at it with `dopsd gc plan`")
        if version not in given_up(_of(book, name)):
            _move(book, Entry(name, "gc", version, person(), reason, now.champion, now.challenger))
        if version in registry.versions(name):
            connect().delete_model_version(name, version.removeprefix("v"))


def withdraw(name: str, serving: Mapping[str, str], heir: str | None, reason: str, root: Path) -> Entry | None:
    """Take the aliases in `serving` from the versions that hold them; `heir` is champion then, or nobody.

    None where there is nothing to take: what another version holds by now stays.
    """
    with ledger.held(root) as book:
        now = _settled(book, name)
        held = {alias: version for alias, version in serving.items() if getattr(now, alias) == version}
        if not held:
            return None
        champion = heir if "champion" in held else now.champion
        challenger = None if "challenger" in held or now.challenger == champion else now.challenger
        version = held.get("champion") or held["challenger"]
        return _move(book, Entry(name, "takedown", version, person(), reason, champion, challenger))


def _after(now: Standing, version: str, verdict: Verdict) -> Standing:
    """Say who holds the aliases after a verdict; nobody is challenger and champion."""
    if verdict is Verdict.PROMOTE:
        return Standing(version, None if now.challenger == version else now.challenger)
    return Standing(now.champion, version) if verdict is Verdict.HOLD and version != now.champion else now


def _settled(book: Ledger, name: str) -> Standing:
    """Bring registry and ledger together: finish a move that was entered only, enter one that was made outside.

    Raises ValueError where the registry was last moved by an entry that this ledger does not have.
    """
    entries, found = _of(book, name), Standing(**aliases.aliases(name))
    last, marked = entries[-1] if entries else None, aliases.mark(name)
    said = Standing(last.champion, last.challenger) if last else Standing()
    if marked and marked not in {entry.digest for entry in entries}:
        raise ValueError(f"the ledger lacks the last move of {name} ({marked[:12]}): {ledger.MEND}")
    if last and marked != last.digest:
        aliases.move(name, said.champion, said.challenger, last.digest)
        return said
    if found != said:
        version = str(found.champion or found.challenger or said.champion or said.challenger)
        reason = f"the aliases were set outside: champion {said.champion} -> {found.champion}"
        _move(book, Entry(name, "found", version, "unknown", reason, found.champion, found.challenger))
    return found


def _move(book: Ledger, entry: Entry) -> Entry:
    """Enter a move, then make it; a copy of the ledger goes to the run that made the version."""
    entered = book.append(entry)
    aliases.move(entry.model, entry.champion, entry.challenger, entered.digest)
    if entry.action != "found":  # the version of a move outside may be gone
        run_record.keep(entry.model, entry.version, {"ledger.jsonl": book.text()})
    return entered


def _check_reason(reason: str) -> None:
    """Refuse a person's move of which the ledger would not say why."""
    if not reason.strip():
        raise ValueError('a reason is wanted, it stands in the ledger: --reason "the studio chose it", for example')


def _unmoved(now: Standing, known: Standing) -> Standing:
    if now.champion != known.champion:
        raise Moved(f"the champion is {now.champion} by now, it was {known.champion} when you asked: look at it first")
    return now


def _of(book: Ledger, name: str) -> list[Entry]:
    return ledger.of_model(book.entries, name)


def _entries(name: str, root: Path) -> list[Entry]:
    return ledger.of_model(ledger.read(root), name)
