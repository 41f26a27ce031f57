"""The statement that is signed: an in-toto statement on every file of the bundle, with provenance as SLSA defines it.

>>> statement({"README.md": "5e884898..."}, facts(Path(), "dopsd", "v7"))

Sources: in-toto.io/Statement/v1, slsa.dev/provenance/v1.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from tasks.provenance.facts import Facts, named

_KIND = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://slsa.dev/provenance/v1"


def statement(digests: Mapping[str, str], facts: Facts) -> bytes:
    """State which files, by sha256, came out of which run, from what."""
    record, said = facts.record, facts.record.lineage
    subjects = [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(digests.items())]
    build = {
        "buildType": "urn:dopsd:pipeline:1",
        "externalParameters": {"params": said["params"], "parent": record.parent, "trigger": record.entered["trigger"]},
        "internalParameters": {name: said[name] for name in ("upstream", "is_weak_teacher_accepted", "is_git_clean")},
        "resolvedDependencies": _dependencies(facts),
    }
    run = {
        "builder": {"id": f"urn:dopsd:person:{quote(record.entered['by'])}"},
        "metadata": {"invocationId": record.run_id, "finishedOn": record.entered["at"]},
    }
    told = {
        "_type": _KIND, "subject": subjects, "predicateType": _PREDICATE,
        "predicate": {"buildDefinition": build, "runDetails": run},
    }  # fmt: skip
    return json.dumps(told, ensure_ascii=False, sort_keys=True, allow_nan=False).encode()


def digests_of(payload: bytes) -> dict[str, str]:
    """Read which files a statement is on, and their sha256."""
    return {row["name"]: row["digest"]["sha256"] for row in json.loads(payload)["subject"]}


def _dependencies(facts: Facts) -> list[dict[str, Any]]:
    """List what went in, each with its digest: of git, of DVC (the md5 of a list of files) or of the file's bytes."""
    said = facts.record.lineage
    found = {"version": {"gitCommit": facts.record.commit}, "code": {"gitCommit": said["git_commit"]}}
    found |= {name: {"dvc": said[key]} for name, key in (("images", "dataset"), ("captions", "captions"))}
    for role, model in said["models"].items():
        name, revision = named(model)
        found[f"{role} {name}"] = {"dvc" if revision.endswith(".dir") else "gitCommit": revision}
    found["environment"] = {"sha256": said["environment_lock"]}
    return [
        {"name": name, "digest": digest} for name, digest in found.items() if None not in digest.values()
    ]  # fmt: skip
