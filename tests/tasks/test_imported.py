"""Images in a bucket behind a real S3 API: DVC imports them, and brings what is new there."""

import shutil
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from tasks import runner
from tasks.folders import read_rows
from tasks.params import load
from tasks.pipeline import stage
from tests import buckets
from tests.history import png
from tests.registered import laid_out

PAGE = Path(__file__).parents[2] / "docs/datasets.md"


def typed(root: Path, command: str) -> None:
    """Type a line of the page."""
    assert f"    {command} " in PAGE.read_text()
    words = [sys.executable, "-m", *command.split()]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def sources(root: Path) -> list[str]:
    runner.run(stage("ingest"), root)
    return sorted(str(row["source"]) for row in read_rows(root / "data/images/images.jsonl"))


def test_what_is_new_in_a_bucket_comes_with_an_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "project"
    laid_out(root).change("ingest.source", "photos")
    shutil.rmtree(root / "photos")
    with buckets.server() as address:
        buckets.reach(address, monkeypatch, tmp_path)
        there = boto3.resource("s3").create_bucket(Bucket="bucket")
        there.put_object(Key="photos/1.png", Body=png(1))
        typed(root, "dvc import-url s3://bucket/photos photos")
        assert sources(root) == ["1.png"]
        there.put_object(Key="photos/more/2.png", Body=png(2))
        typed(root, "dvc update photos.dvc")
        assert sources(root) == ["1.png", "more/2.png"]


def test_an_address_in_params_is_told_how_it_becomes_a_folder(tmp_path: Path) -> None:
    laid_out(tmp_path).change("ingest.source", "s3://bucket/photos")
    with pytest.raises(FileNotFoundError, match=r"`dvc import-url s3://bucket/photos photos`, and name that folder"):
        runner.sources(load(tmp_path), tmp_path)
