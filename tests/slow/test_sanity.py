"""What a user types without thinking reaches what it should: our defaults are not badly configured."""

import os
import runpy
from pathlib import Path

import pytest

from project import PROJECT

pytestmark = pytest.mark.slow
sanity = runpy.run_path(str(PROJECT / "docs" / "sanity.py"))


@pytest.mark.parametrize("name", sanity["SHORT"])
def test_a_line_reaches_what_it_must(name, tmp_path):
    folder = os.environ.get("GRADREACH_DATA_DIR", "")
    if name != "digits" and not Path(folder).is_dir():
        pytest.skip("real data are absent: set GRADREACH_DATA_DIR to their folder")
    line, settings = sanity["SHORT"][name], [f"results_dir={tmp_path}", f"data_dir={Path(folder).resolve()}"]
    sanity["run"](line, settings)
    record = sanity["record_of"](line, settings)
    assert record["status"] == "finished"
    assert sanity["good_enough"](line, record), sanity["reached"](record)
    assert "**" not in sanity["row"](line, record)
