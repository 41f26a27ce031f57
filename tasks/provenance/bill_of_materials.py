"""The bill of materials (CycloneDX 1.6): the model, what it was made of, and the libraries that made it.

>>> bill_of_materials(facts(Path(), "dopsd", "v7"))
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from cyclonedx.model import Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from tasks.ancestry.records import BASE
from tasks.provenance.card import TASK
from tasks.provenance.facts import Facts, named

_MODEL, _DATA = ComponentType.MACHINE_LEARNING_MODEL, ComponentType.DATA


def bill_of_materials(facts: Facts) -> str:
    """Spell it out as JSON, the same for the same record.

    The model depends on base, parent, images, captions and code, the code on the models that help it and on libraries.
    """
    record = facts.record
    model, code = _model(facts), _component(ComponentType.APPLICATION, "dopsd-pipeline", record.commit, "code")
    made_of, helpers = [*_materials(facts), code], [*_helpers(facts), *_libraries(facts)]
    bom = Bom(
        serial_number=uuid5(NAMESPACE_OID, record.commit),
        metadata=BomMetaData(component=model, timestamp=datetime.fromisoformat(record.entered["at"])),
        components=[*made_of, *helpers],
    )
    bom.register_dependency(model, made_of)
    bom.register_dependency(code, helpers)
    spelled = json.loads(JsonV1Dot6(bom).output_as_string())
    spelled["metadata"]["component"]["modelCard"] = _model_card(facts)  # the library knows none yet (11.12)
    return json.dumps(spelled, ensure_ascii=False, sort_keys=True, indent=2) + "\n"


def _model(facts: Facts) -> Component:
    told = {"weights": facts.record.lineage["adapter"], "run": facts.record.run_id, "commit": facts.record.commit}
    properties = [Property(name=f"dopsd:{name}", value=value) for name, value in told.items()]
    return _component(_MODEL, facts.model, facts.record.version, "model", properties=properties)


def _materials(facts: Facts) -> Iterator[Component]:
    """Give what is in the weights: base, parent, images and captions, each with the digest that the record has."""
    yield _component(_MODEL, *facts.base, "base")
    if facts.record.parent != BASE:
        yield _component(_MODEL, facts.model, facts.record.parent, "parent")
    yield _component(_DATA, "images", facts.record.lineage["dataset"], "images")
    yield _component(_DATA, "captions", facts.record.lineage["captions"], "captions")


def _helpers(facts: Facts) -> Iterator[Component]:
    """Give the models that captioned, encoded and judged."""
    for role, model in facts.record.lineage["models"].items():
        if role != BASE:
            yield _component(_MODEL, *named(model), role)


def _libraries(facts: Facts) -> Iterator[Component]:
    for name, version in facts.libraries.items():
        link = PackageURL("pypi", name=name, version=version)
        yield _component(ComponentType.LIBRARY, name, version, link.to_string(), purl=link)


def _component(kind: ComponentType, name: str, version: str, reference: str, **more: Any) -> Component:
    return Component(type=kind, name=name, version=version, bom_ref=reference, **more)


def _model_card(facts: Facts) -> dict[str, Any]:
    """Say what kind of model it is, what it learnt from, and what was measured of it."""
    params = facts.record.lineage["params"]
    return {
        "modelParameters": {
            "task": TASK,
            "architectureFamily": params["models"]["family"],
            "modelArchitecture": params["train"]["weights"],
            "datasets": [{"ref": "images"}, {"ref": "captions"}],
            "inputs": [{"format": "text"}],
            "outputs": [{"format": "image"}],
        },
        "quantitativeAnalysis": {"performanceMetrics": list(_metrics(facts))},
    }


def _metrics(facts: Facts) -> Iterator[dict[str, Any]]:
    for key, row in facts.scores.items():
        panel, _, metric = key.partition("/")
        if row["mean"] is not None:
            ends = {"lowerBound": row["low"], "upperBound": row["high"]}
            interval = {name: str(value) for name, value in ends.items() if value is not None}
            yield {"type": metric, "slice": panel, "value": str(row["mean"]), "confidenceInterval": interval}
