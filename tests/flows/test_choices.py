"""What a deployment chooses is true of its own workspace, and of nobody else's."""

from pathlib import Path

import pytest
import yaml
from prefect.utilities.callables import parameter_schema

from flows.choices import choose
from flows.deployed import deployed
from tasks.folders import write_json
from tasks.params import load
from tasks.workspaces.workspace import record, workspace
from tests.fake_workspace import PARAMS, FakeWorkspace
from tests.repository import commit, committed, git, photographed

ANIME = PARAMS | {"register": {"model": "anime"}, "train": PARAMS["train"] | {"learning_rate": 0.5}}


@pytest.fixture
def home(tmp_path: Path) -> FakeWorkspace:
    """Two projects in one repository, and a dataset that no params file names."""
    made = FakeWorkspace.at(tmp_path / "home")
    made.write("projects/anime.yaml", yaml.safe_dump(ANIME))
    made.write("others/b.png", "b")
    committed(made)
    git(made.root, "rm", "--quiet", "--cached", "others/b.png")
    commit(made)
    return made


def test_a_project_a_dataset_and_a_method_are_those_of_its_workspace_alone(home: FakeWorkspace) -> None:
    before = photographed(home.root)
    with workspace(home.root) as root, workspace(home.root) as another:
        choose(root, project="projects/anime.yaml", dataset="others", method="sft")
        said = load(root)
        assert (said.register.model, said.train.learning_rate) == ("anime", 0.5)
        assert (said.ingest.source, said.train.method) == ("others", "sft")
        assert [path.name for path in (root / "others").iterdir()] == ["b.png"]
        assert load(another).register.model == "dopsd"
    assert photographed(home.root) == before


def test_another_family_comes_with_its_models(home: FakeWorkspace) -> None:
    families = {"flux2-klein": {"base": "models/dino"}}
    (home.root / "params.yaml").write_text(yaml.safe_dump(PARAMS | {"compare": {"families": families}}))
    commit(home)
    with workspace(home.root) as root:
        choose(root, family="flux2-klein")
        assert (load(root).models.family, load(root).models.base) == ("flux2-klein", "models/dino")
        assert load(root).models.vlm == "models/vlm"


def test_a_parent_stands_in_the_params_of_its_workspace(home: FakeWorkspace) -> None:
    home.change("train.parent", "v7")
    commit(home)
    with workspace(home.root) as root:
        choose(root, parent="base")
        assert load(root).train.parent == "base"
    assert load(home.root).train.parent == "v7"


def test_every_project_begins_where_its_own_last_run_ended(home: FakeWorkspace) -> None:
    with workspace(home.root) as root:
        choose(root, project="projects/anime.yaml")
        write_json(root / "data/version/version.json", "anime's")
        record(root)
    with workspace(home.root) as root:
        assert not (root / "data/version").exists()
        choose(root, project="projects/anime.yaml")
        assert (root / "data/version/version.json").is_file()


def test_a_persons_folder_is_not_chosen_for(home: FakeWorkspace) -> None:
    choose(home.root)
    with pytest.raises(ValueError, match="is a person's"):
        choose(home.root, method="sft")


def test_what_cannot_be_chosen_is_named(home: FakeWorkspace) -> None:
    with workspace(home.root) as root:
        with pytest.raises(FileNotFoundError, match=r"the last commit holds no projects/manga\.yaml"):
            choose(root, project="projects/manga.yaml")
        with pytest.raises(ValueError, match=r"add compare\.families\.flux2-klein"):
            choose(root, family="flux2-klein")
        with pytest.raises(ValueError, match=r"train\.method"):
            choose(root, method="magic")


def test_prefect_shows_every_parameter_with_its_type_and_what_it_is() -> None:
    said = parameter_schema(deployed).properties
    assert all(row["description"] for row in said.values())
    assert "sft-parent" in str(said["method"])
    assert "flux2-klein" in str(said["family"])
