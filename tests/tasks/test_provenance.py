"""A bundle says where its weights come from in three formats, and no byte of it can be changed in silence."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from shutil import copytree

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from huggingface_hub import ModelCard
from securesystemslib.dsse import Envelope

from dopsd.weights.trained import FILE, FOLDER
from tasks.ancestry.records import CAPTIONS, IMAGES, LINEAGE
from tasks.folders import sha256_of_bytes
from tasks.git import said
from tasks.params import parse, resolved
from tasks.provenance.bundle import BILL, CARD, make
from tasks.provenance.signature import private_key, public_pem
from tasks.provenance.verification import SIGNER, STATEMENT, Fault, verify
from tasks.versions.ledger import Entry, held
from tasks.versions.lineage import digest_of_trained
from tasks.versions.version_commit import kept
from tests.fake_workspace import PARAMS
from tests.versions import RECORD

LOCK = "# tested with these\ntorch==2.13.0  # one wheel for all\nPyYAML==6.0.3\n"
WEIGHTS = {"v1": FILE, "v2": f"{FOLDER}/model.safetensors"}
SCORE = {"mean": 0.7, "low": 0.6, "high": None, "count": 9}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions in git: an adapter, and all weights trained on from it; these lie in folders named after them."""
    root = tmp_path_factory.mktemp("project")
    (root / "panels").mkdir()
    (root / "panels" / "novel.txt").write_text("# scenes\na [V] on the moon\n")
    (root / "constraints.txt").write_text(LOCK)
    said(root, "init", "--quiet")
    said(root, "add", ".")
    said(root, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--message", "one")
    for version, weights in WEIGHTS.items():
        (root / version / weights).parent.mkdir(parents=True)
        (root / version / weights).write_bytes(f"weights of {version}".encode())
        kept(root, "dopsd", version, record(root, version))
        with held(root) as book:
            book.append(Entry("dopsd", "decide", version, "gate", "likeness gained\nno harm", version, None, "PROMOTE"))
    write_key(root / "signing.pem", ed25519.Ed25519PrivateKey.generate())
    return root


def record(root: Path, version: str) -> dict[str, str]:
    """Spell out what a version is kept with."""
    params = resolved(parse(PARAMS))
    params["train"]["weights"] = {"v1": "lora", "v2": "full"}[version]
    lineage = replace(
        RECORD, params=params, parent={"v1": "base", "v2": "v1"}[version], adapter=digest_of_trained(root / version),
        environment_lock=sha256_of_bytes(LOCK.encode()), scores={"models": {"adapter": {"concept/dino_d@x": SCORE}}},
    )  # fmt: skip
    entered = {"by": "a", "trigger": "a person", "at": "2026-10-01T12:00:00+00:00"}
    told = {"model": "dopsd", "version": version, "mlflow_run_id": "r", "entered": entered, "lineage": asdict(lineage)}
    return {LINEAGE: json.dumps(told), IMAGES: '{"id": "0"}\n', CAPTIONS: '{"id": "0", "caption": "a [V]"}\n'}


def write_key(path: Path, key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.fixture(scope="module", params=WEIGHTS)
def bundle(request: pytest.FixtureRequest, project: Path) -> Path:
    out = project / "bundles" / request.param
    make(project, "dopsd", project / request.param, out, project / "signing.pem")
    return out


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    """The same bundle, to be tampered with."""
    return Path(copytree(bundle, tmp_path / "bundle"))


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_is_whole_and_holds_the_weights(bundle: Path) -> None:
    held_files = files(bundle)
    assert verify(bundle) == []
    assert held_files[WEIGHTS[bundle.name]] == f"weights of {bundle.name}".encode()
    told = {CARD, BILL, STATEMENT, SIGNER, "record/lineage.json", "record/constraints.txt", "record/decisions.jsonl"}
    assert told < held_files.keys()


def test_any_byte_that_is_changed_is_told_by_its_file(bundle: Path) -> None:
    for name, data in files(bundle).items():
        for place in {*range(0, len(data), max(1, len(data) // 12)), *range(max(0, len(data) - 8), len(data))}:
            (bundle / name).write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            (found,) = verify(bundle)
            assert name in f"{found.file} {found.wrong}", place
        (bundle / name).write_bytes(data)
    assert verify(bundle) == []


def test_what_a_signature_does_not_look_at_may_not_change_either(copy: Path) -> None:
    line = (copy / STATEMENT).read_bytes()
    beside = json.loads(line) | {"note": "trust me"}
    for spelled in (line + b"\n", line.replace(b": ", b":"), json.dumps(beside, sort_keys=True).encode() + b"\n"):
        (copy / STATEMENT).write_bytes(spelled)
        assert [fault.file for fault in verify(copy)] == [STATEMENT]


def test_a_file_that_is_missing_is_told(copy: Path) -> None:
    for name, data in files(copy).items():
        (copy / name).unlink()
        assert verify(copy) == [Fault(name, "is missing")]
        (copy / name).write_bytes(data)


def test_a_file_that_was_added_is_told_and_so_is_a_link_in_place_of_one(copy: Path) -> None:
    (copy / "record" / "more.bin").write_bytes(b"")
    (copy / "elsewhere").symlink_to(copy.parent)
    (copy / CARD).rename(copy.parent / CARD)
    (copy / CARD).symlink_to(copy.parent / CARD)
    assert verify(copy) == [
        Fault(CARD, "was changed"), Fault("elsewhere", "was added"), Fault("record/more.bin", "was added"),
    ]  # fmt: skip


def test_made_twice_it_is_the_same_but_for_the_signature(project: Path, bundle: Path, tmp_path: Path) -> None:
    write_key(tmp_path / "other.pem", ec.generate_private_key(ec.SECP256R1()))
    once, twice = tmp_path / "once", tmp_path / "twice"
    for _ in range(2):  # the second takes the place of the first
        make(project, "dopsd", project / bundle.name, once, project / "signing.pem")
    assert files(once) == files(bundle)
    make(project, "dopsd", project / bundle.name, twice, tmp_path / "other.pem")
    apart = {name for name, data in files(twice).items() if data != files(bundle)[name]}
    assert apart == {STATEMENT, SIGNER}


def test_only_the_key_that_signed_is_believed(project: Path, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.pem", tmp_path / "theirs.pem"
    ours.write_bytes(public_pem(private_key(project / "signing.pem")))
    for generated in (ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)):
        write_key(tmp_path / "private.pem", generated)
        theirs.write_bytes(public_pem(private_key(tmp_path / "private.pem")))
        forged = tmp_path / "forged"
        make(project, "dopsd", project / "v1", forged, tmp_path / "private.pem")
        assert verify(forged) == verify(forged, theirs) == []
        assert [fault.file for fault in verify(forged, ours)] == [STATEMENT]


def test_the_card_is_read_by_the_hubs_own_library(bundle: Path) -> None:
    data = ModelCard.load(bundle / CARD).data
    relation = {"v1": "adapter", "v2": "finetune"}[bundle.name]
    assert (data.base_model, data.base_model_relation, data.instance_prompt) == ("base", relation, "[V]")
    assert data.widget == [{"text": "a [V] on the moon"}]
    (result,) = data.eval_results
    assert (result.dataset_name, result.metric_type, result.metric_value) == ("concept", "dino_d", 0.7)
    assert {"text-to-image", "z-image", "dopsd"} < set(data.tags)


def test_the_bill_keeps_to_the_schema_and_names_what_the_model_is_made_of(bundle: Path) -> None:
    text = (bundle / BILL).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    made_of = {row["ref"]: set(row.get("dependsOn", [])) for row in bill["dependencies"]}
    parent = {"v1": set(), "v2": {"parent"}}[bundle.name]
    assert made_of["model"] == {"base", "images", "captions", "code"} | parent
    assert made_of["code"] == {"pkg:pypi/torch@2.13.0", "pkg:pypi/pyyaml@6.0.3"}
    card = bill["metadata"]["component"]["modelCard"]
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [
        {"type": "dino_d@x", "slice": "concept", "value": "0.7", "confidenceInterval": {"lowerBound": "0.6"}}
    ]


def test_the_statement_is_on_every_other_file(bundle: Path) -> None:
    envelope = Envelope.from_dict(json.loads((bundle / STATEMENT).read_text()))
    told = json.loads(envelope.payload)
    digests = {name: sha256_of_bytes(data) for name, data in files(bundle).items() if name != STATEMENT}
    assert {row["name"]: row["digest"]["sha256"] for row in told["subject"]} == digests
    assert (told["_type"], told["predicateType"]) == (
        "https://in-toto.io/Statement/v1",
        "https://slsa.dev/provenance/v1",
    )
    assert told["predicate"]["runDetails"]["metadata"]["finishedOn"] == "2026-10-01T12:00:00+00:00"


def test_what_contradicts_the_record_is_refused(project: Path, tmp_path: Path) -> None:
    signing = project / "signing.pem"
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / FILE).write_bytes(b"others")
    with pytest.raises(ValueError, match="does not hold the weights that v1 is recorded with"):
        make(project, "dopsd", tmp_path / "v1", tmp_path / "out", signing)
    with pytest.raises(ValueError, match="v1 is there, and is no bundle"):
        make(project, "dopsd", project / "v1", tmp_path / "v1", signing)
    broken = record(project, "v1")
    kept(project, "other", "v1", {**broken, LINEAGE: broken[LINEAGE].replace(sha256_of_bytes(LOCK.encode()), "e" * 64)})
    with pytest.raises(ValueError, match=r"the commit of v1 has another constraints\.txt"):
        make(project, "other", project / "v1", tmp_path / "out", signing)
    assert not (tmp_path / "out").exists()


def test_no_word_of_a_private_key_is_written_or_told(project: Path, bundle: Path, tmp_path: Path) -> None:
    secret = (project / "signing.pem").read_text().splitlines()[1]
    assert all(secret.encode() not in data for data in files(bundle).values())
    (tmp_path / "torn.pem").write_text((project / "signing.pem").read_text().replace("END", "ENDE"))
    with pytest.raises(ValueError, match=r"torn.pem is no private key") as mistake:
        private_key(tmp_path / "torn.pem")
    assert secret not in str(mistake.value)
    with pytest.raises(FileNotFoundError, match="openssl genpkey"):
        private_key(tmp_path / "none.pem")
