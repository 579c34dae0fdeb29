"""What was built needs no network and leads nowhere that is not there; else the build fails."""

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links, the assets and the anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.assets: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Sort what a tag names."""
        for name, value in attrs:
            if not value or value.startswith("data:"):
                continue
            if name in ("id", "name"):
                self.anchors.add(value)
            elif name == "href" and tag == "a":
                self.links.append(value)
            elif (name == "src" or name == "href") and tag != "use":
                self.assets.append(value)
            elif name == "srcset":
                self.assets += [each.split()[0] for each in value.split(",")]


page_of = cache(Page)


def faults(site: Path) -> list[str]:
    """Return each asset that comes from elsewhere, and each link of a page to what is not there."""
    found = []
    for path in sorted(site.rglob("*.html")):
        page = page_of(path)
        for link in page.assets + page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.assets:
                    found.append(f"{path.relative_to(site)}: {link} comes from the network")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                found.append(f"{path.relative_to(site)}: {link} is not there")
            elif parts.fragment and link in page.links and unquote(parts.fragment) not in page_of(target).anchors:
                found.append(f"{path.relative_to(site)}: {link}: no such anchor")
    return found


def check(app: Any, error: Exception | None) -> None:
    """Fail where something is wrong."""
    from sphinx.util.logging import getLogger  # the tests look for faults without Sphinx

    for fault in [] if error else faults(Path(app.outdir)):
        getLogger(__name__).error(fault)
        app.statuscode = 1


def setup(app: Any) -> dict[str, Any]:
    """Make it so."""
    app.connect("build-finished", check, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
