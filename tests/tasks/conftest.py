import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Prepared data of one test are not those of another."""
    monkeypatch.setenv("GRADREACH_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def data_dir():
    """Return the folder of real data."""
    folder = os.environ.get("GRADREACH_DATA_DIR")
    if not folder or not Path(folder).is_dir():
        pytest.skip("real data are absent: set GRADREACH_DATA_DIR to their folder")
    return Path(folder)
