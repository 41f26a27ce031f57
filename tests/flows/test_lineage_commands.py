"""The questions of docs/lineage.md, asked of a project with two versions as the page asks them."""

import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner, Result

from dopsd.weights.trained import FILE
from flows.cli import app
from flows.commands import lineage_view
from tasks.ancestry.difference import Difference
from tasks.ancestry.tree import Tree, tree
from tasks.git import said
from tasks.tracking import connect
from tests import history
from tests.registered import commit, project_of_two

PAGE = Path(__file__).parents[2] / "docs" / "lineage.md"
SAMPLE = Path("samples/new-concept/star-01.png")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    root = project_of_two(tmp_path_factory.mktemp("project"), empty_store)
    (root / SAMPLE).parent.mkdir(parents=True)
    shutil.copyfile(PAGE.parents[1] / SAMPLE, root / SAMPLE)
    commit(root)
    return root


@pytest.fixture(autouse=True)
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)


def dopsd(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def test_every_command_of_the_page_answers(project: Path) -> None:
    commands = [line.strip() for line in PAGE.read_text().splitlines() if line.startswith("    ")]
    assert len(commands) == 19
    before = said(project, "rev-parse", "--abbrev-ref", "HEAD")
    for command in commands:
        program, *words = shlex.split(command)
        if program == "dopsd":
            result = dopsd(*words)
            assert (result.exit_code, bool(result.output)) == (0, True), (command, result.output)
        else:
            program = [sys.executable, "-m", "dvc"] if program == "dvc" else [program]  # type: ignore[assignment]
            subprocess.run([*program, *words], check=True)
    said(project, "checkout", "--quiet", before)


def test_the_champion_is_told_with_who_decided_that() -> None:
    log = json.loads(dopsd("champion", "--log", "--json").stdout)
    assert [(row["champion"], row["verdict"], row["by"]) for row in log[:2]] == [
        ("v2", "PROMOTE", "gate"), ("v3", "PROMOTE", "gate"),
    ]  # fmt: skip
    assert "v3  since 20" in dopsd("champion").stdout
    assert json.loads(dopsd("champion", "--at", log[0]["at"], "--json").stdout)["champion"] in ("v2", "v3")
    assert dopsd("champion", "--at", "2001-01-01").stdout == "nobody\n"
    assert json.loads(dopsd("champion", "--at", "2001-01-01", "--json").stdout) is None
    assert "is no time" in dopsd("champion", "--at", "yesterday").stderr


def test_promoting_and_rolling_back_move_the_alias_and_say_why() -> None:
    assert dopsd("promote", "v2", "--reason", "its look").exit_code == 0
    assert "its look" in dopsd("champion").stdout
    assert "v2 is champion already" in dopsd("promote", "v2", "--reason", "again").stderr
    assert dopsd("rollback").exit_code == 0
    assert json.loads(dopsd("champion", "--json").stdout)["champion"] == "v3"
    assert dopsd("audit", "--strict").exit_code == 0


def test_a_version_shows_its_images_its_parent_and_its_heirs() -> None:
    shown = dopsd("lineage", "v2").stdout
    for told in ("v2  PROMOTE", "0.png", "1.png", "base", "descendants", "v3  PROMOTE  champion"):
        assert told in shown
    found = json.loads(dopsd("lineage", "champion", "--json").stdout)
    assert [image["source"] for image in found["added"]] == ["2.png"]
    assert found["ancestors"] == ["v2", "base"]
    shown = dopsd("lineage", "v3").stdout
    assert "3, +1 -0 against v2" in shown.replace("\n", " ")
    assert [name for name in ("+ 2.png", "- ", " 0.png", " 1.png") if name in shown] == ["+ 2.png", " 0.png", " 1.png"]
    assert shown.index("+ 2.png") < shown.index("0.png") < shown.index("1.png")
    assert "name a version, or an image" in dopsd("lineage").stderr


def test_added_images_come_first_then_removed_ones_and_those_kept_last(tmp_path: Path) -> None:
    found = tree(history.made(tmp_path), "dopsd", "v3")
    listed = shown(found)
    assert [line.split("  ")[0] for line in listed[:2]] == ["+ 4.png", "- 2.png"]
    assert sorted(line.split("  ")[0] for line in listed[2:]) == ["0.png", "1.png"]
    assert {line[0] for line in shown(tree(tmp_path, "dopsd", "v1"))} == {"0", "1", "2"}
    (gone,) = found.removed
    cut = shown(replace(found, removed=[gone] * 30))
    assert [line[:2] for line in cut[:20]] == ["+ ", *["- "] * 19]
    assert cut[20:] == ["and 13 more: --json lists them"]


def shown(found: Tree) -> list[str]:
    """Give the rows below the images of a version."""
    return [str(row.label) for row in lineage_view.version(found).children[0].children]


def test_what_only_one_version_was_asked_for_is_told_as_none(project: Path) -> None:
    found = Difference(
        "v2", "v3", [], [], {}, {"evaluate.earlier": ([], ["runs/earlier/v2"]), "train.step_weights": ([], [1.0, 2.0])},
        [], {},
        {"earlier/dino_d@d": (None, [0.5, 0.25, 0.75]), "concept/kid@d": ([None, None, None], [0.5, None, None])},
        ("a", "b"),
    )  # fmt: skip
    console = Console(width=200)
    with console.capture() as shown:
        console.print(lineage_view.apart(found))
    for told in (
        "evaluate.earlier  [] -> [runs/earlier/v2]", "[] -> [1.000, 2.000]", "none -> 0.500 [0.250, 0.750]",
        "unknown [unknown, unknown] -> 0.500 [unknown, unknown]",
    ):  # fmt: skip
        assert told in shown.get()


def test_the_base_shows_what_was_made_on_it() -> None:
    found = json.loads(dopsd("lineage", "base", "--json").stdout)
    (one,) = found["bases"]
    (known,) = one["versions"]
    assert (one["base"].partition("@")[0], one["begun"], one["made"]) == ("base", ["v2"], ["v2", "v3"])
    assert (known["version"], known["folder"], one["is_current"]) == ("v1", "models/base", True)
    assert connect().get_model_version_by_alias("dopsd", "base").tags["base"] == one["base"]
    assert json.loads(dopsd("lineage", "v1", "--json").stdout) == found
    shown = dopsd("lineage", "base").stdout
    for told in (
        f"{one['base']}  base", "v1", f"commit {known['commit']}", "folder models/base",
        f"entered by {known['entered']['by']}", "made on it, with their descendants: v2, v3",
    ):  # fmt: skip
        assert told in shown, shown


@pytest.mark.parametrize("words", [("diff", "v1", "v2"), ("diff", "v2", "v1"), ("reproduce", "v1")])
def test_what_compares_trainings_says_of_a_base_that_it_is_one(words: tuple[str, ...]) -> None:
    result = dopsd("model", *words)
    wanted = "v1 is a base of dopsd, which has no training to compare or make again: `dopsd lineage base` tells of it\n"
    assert (result.exit_code, result.stderr) == (1, wanted)


def test_nobody_is_challenger_where_none_is_held() -> None:
    assert dopsd("lineage", "challenger").stderr == "nobody is challenger of dopsd; there is v2, v3\n"


@pytest.mark.parametrize("words", [("promote", "v2"), ("rollback",)])
@pytest.mark.parametrize("reason", ["", "  "])
def test_who_moves_an_alias_says_why(words: tuple[str, ...], reason: str) -> None:
    before = dopsd("champion", "--log").stdout
    result = dopsd(*words, "--reason", reason)
    assert (result.exit_code, "a reason is wanted" in result.stderr) == (1, True)
    assert dopsd("champion", "--log").stdout == before


def test_an_image_leads_to_what_serves() -> None:
    found = json.loads(dopsd("lineage", "--image", "0" * 32, "--json").stdout)
    assert (found["trained"], found["aliases"]) == (["v2", "v3"], {"champion": "v3"})
    shown = dopsd("lineage", "--image", "2" * 64).stdout
    assert "2.png (same bytes)" in shown
    assert "champion: v3" in shown
    assert "in no dataset" in dopsd("lineage", "--image", str(SAMPLE)).stdout


def test_of_a_file_that_is_no_image_it_is_said_that_its_looks_were_not_compared(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    shown = dopsd("lineage", "--image", str(tmp_path / "text.png"))
    assert shown.exit_code == 0
    assert "it cannot be read as an image" in shown.stdout
    assert json.loads(dopsd("lineage", "--image", str(tmp_path / "text.png"), "--json").stdout)["unread"]
    assert "cannot be read" not in dopsd("lineage", "--image", str(SAMPLE)).stdout


def test_the_difference_of_two_versions_is_what_was_changed() -> None:
    shown = dopsd("model", "diff", "v2", "v3").stdout
    for told in ("v2 -> v3", "images +1", "2.png", "train.parent  base -> v2", "code: 0 files differ"):
        assert told in shown, shown


def test_the_difference_shows_what_both_drew(tmp_path: Path) -> None:
    assert dopsd("model", "diff", "v2", "champion", "--grids", str(tmp_path / "both.png")).exit_code == 0
    with Image.open(tmp_path / "both.png") as both, Image.open("data/scores/grid.png") as one:
        assert both.size == (one.width, 2 * one.height)


def test_a_broken_chain_ends_with_exit_code_one(project: Path) -> None:
    tag = said(project, "rev-parse", "model/dopsd/v2")
    said(project, "tag", "-d", "model/dopsd/v2")
    result = dopsd("audit")
    said(project, "tag", "model/dopsd/v2", tag)
    assert result.exit_code == 1
    assert "parent" in result.stdout
    assert json.loads(dopsd("audit", "--json").stdout) == []


def test_a_bundle_that_was_changed_is_told_by_its_file(tmp_path: Path) -> None:
    key, bundle = str(tmp_path / "signing.pem"), tmp_path / "v3"
    assert "openssl genpkey" in dopsd("provenance", "make", "v3", "--private-key", key, "--out", str(bundle)).stderr
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    assert dopsd("provenance", "make", "v3", "--private-key", key, "--out", str(bundle)).exit_code == 0
    assert "that key came with it" in dopsd("provenance", "verify", str(bundle)).stderr
    (bundle / FILE).write_bytes(b"")
    result = dopsd("provenance", "verify", str(bundle))
    assert (result.exit_code, result.stdout) == (1, f"{FILE}  was changed\n")


def test_where_the_libraries_of_provenance_are_missing_it_is_told_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in ("tasks.provenance.verification", "tasks.provenance.signature"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "securesystemslib.dsse", None)
    assert "--editable '.[provenance]'" in dopsd("provenance", "verify", str(tmp_path)).stderr
