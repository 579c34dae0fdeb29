"""The repository as a site: a README is the page of its folder, and files that are not pages stand where they stand."""

import os
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

FRONT = """
```{toctree}
:hidden:
:caption: Results
docs/findings
results/README
results/published/README
```

```{toctree}
:hidden:
:caption: Use
docs/watch
docs/diagnostics
docs/notebooks/own_model
docs/notebooks/vanishing_gradient
docs/models
docs/tasks
docs/training
docs/experiments
docs/results
docs/figures
docs/reproduce
docs/wandb
docs/clusters
docs/kernels
docs/speed
```

```{toctree}
:hidden:
:caption: Reference
docs/site/api
docs/glossary
docs/references
docs/architecture
CONTRIBUTING
CHANGELOG
```

```{toctree}
:hidden:
:caption: 中文
简介 <README.zh>
docs/findings.zh
docs/glossary.zh
docs/notes.zh
```
"""
"""What the front page leads to; in README.md GitHub would show it."""
FOLDERS = {"results/README": "*/README\nperformance/*", "results/published/README": "*/README"}
"""Pages that lead to all pages below them."""
NOT_COMMITTED = shutil.ignore_patterns("runs", "wandb", "logs", "jobs", "quick", "debug", ".*")


def contents(app: Sphinx, docname: str, source: list[str]) -> None:
    """Add what a page leads to."""
    if docname == "README":
        source[0] += FRONT
    elif docname in FOLDERS:
        source[0] += f"\n```{{toctree}}\n:hidden:\n:glob:\n{FOLDERS[docname]}\n```\n"


class Files(SphinxTransform):
    """Links to files that are not pages lead to where the file stands, and not to a copy among downloads."""

    default_priority = 900

    def apply(self, **_: Any) -> None:
        """Turn downloads into links."""
        folder = Path(self.env.docname).parent
        for node in list(self.document.findall(addnodes.download_reference)):
            self.app.files.add(os.path.normpath(folder / node["reftarget"]))  # type: ignore[attr-defined]
            node.replace_self(nodes.reference("", "", *node.children, refuri=node["reftarget"]))


def without_downloads(app: Sphinx, env: Any) -> None:
    """Keep Sphinx from copying these files a second time."""
    env.dlfiles.clear()


def copy_files(app: Sphinx, error: Exception | None) -> None:
    """Copy the files that pages and report lead to, and give each folder with a README an index."""
    if error:
        return
    source, site = Path(app.srcdir), Path(app.outdir)
    shutil.copytree(source / "results", site / "results", ignore=NOT_COMMITTED, dirs_exist_ok=True)
    for name in sorted(app.files):  # type: ignore[attr-defined]
        if (source / name).is_file():
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, site / name)
    for page in site.rglob("README.html"):
        shutil.copy(page, page.with_name("index.html"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Make it so."""
    app.files = set()  # type: ignore[attr-defined]
    app.connect("source-read", contents)
    app.connect("env-updated", without_downloads)
    app.connect("build-finished", copy_files)
    app.add_transform(Files)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
