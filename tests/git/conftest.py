"""What the tests on real repositories share."""

from pathlib import Path

import pytest

from perfhunt.change.git.repository import Repository
from tests.git.repositories import project_repository


@pytest.fixture
def shop(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository, and the working directory: one commit of the test module's FILES."""
    root = tmp_path / "shop"
    project_repository(root, request.module.FILES)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def repository(shop: Path) -> Repository:
    """The shop, as perfhunt takes it."""
    return Repository(shop)
