"""What MLflow shows of a version and of its run, to people and to searches: is it what the record says.

>>> list(broken(Evidence.of(...), record, run_id, is_strict=True))  # [("run", "its tag parent is v3, ...")]
"""

import json
from collections.abc import Iterator, Mapping

from tasks.ancestry.records import LINEAGE, Record
from tasks.tracking import connect
from tasks.versions import ledger, registry, run_record, taken_down
from tasks.versions.evidence import Evidence
from tasks.versions.lineage import Lineage


def broken(found: Evidence, record: Record, run_id: str | None, *, is_strict: bool) -> Iterator[tuple[str, str]]:
    """Name what a version's tags, its run if there is one and, if asked to be strict, its page tell otherwise."""
    wanted = registry.tags(Lineage(**record.lineage)) | {"commit": record.commit}
    wanted |= {key: record.entered[key] for key in ("by", "trigger")}
    yield from differing(found.tags[record.version], {key: text for key, text in wanted.items() if key != "scores"})
    receipt = found.tags[record.version].get(taken_down.TAG)
    if receipt and not (ledger.located(found.root).parent / receipt).is_file():
        yield f"tag {taken_down.TAG}", f"there is no receipt {receipt}"
    if run_id:
        yield from _run(found, record, run_id)
        yield from _page(found, record) if is_strict else ()


def differing(tags: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name each tag of a version that is not what it should be."""
    for key in sorted(wanted):
        if tags.get(key) != wanted[key]:
            yield f"tag {key}", f"the registry says {tags.get(key, 'nothing')}, the record says {wanted[key]}"


def _run(found: Evidence, record: Record, run_id: str) -> Iterator[tuple[str, str]]:
    """Compare the tags that runs are searched by, and the dataset that they name."""
    run, said = connect().get_run(run_id), record.lineage
    wanted = {"version": record.version, "base": said["base"], "parent": said["parent"], "commit": record.commit}
    wanted |= {key: record.entered[key] for key in ("by", "trigger")}
    if verdict := found.verdict(record.version):
        wanted["verdict"] = verdict
    for key, text in wanted.items():
        if run.data.tags.get(key) != text:
            yield "run", f"the tag {key} of its run is {run.data.tags.get(key, 'gone')}, it should be {text}"
    if said["dataset"] not in {row.dataset.digest for row in run.inputs.dataset_inputs}:
        yield "run", f"its run no longer names the dataset {said['dataset']}"


def _page(found: Evidence, record: Record) -> Iterator[tuple[str, str]]:
    """Compare the version's page and its tag of scores with the files beside its run."""
    name, version = found.model, record.version
    page, lineage = (run_record.read(name, version, file) for file in ("page.md", LINEAGE))
    if page and registry.page(name, version) != registry.shortened(page):
        yield "page", "it is not what record/page.md of its run says"
    try:
        wanted = registry.tags(Lineage(**json.loads(lineage or "")["lineage"]))["scores"]
    except (ValueError, LookupError, TypeError):
        return  # the witnesses of the file say so
    yield from differing(found.tags[version], {"scores": wanted})
