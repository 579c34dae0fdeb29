"""Wherever a page names a paper by author and year, the name leads to the paper."""

from typing import Any

from citations import citations, references
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform


class LinksToPapers(SphinxPostTransform):
    """Turns citations in text into links, but in code, headings and what is a link already."""

    default_priority = 900

    def run(self, **_: Any) -> None:
        """Do so for one page."""
        links = {key: link for key, (_, link) in references().items()}
        for text in list(self.document.findall(nodes.Text)):
            parent: nodes.Node | None = text
            while parent is not None and not isinstance(parent, nodes.reference | nodes.literal | nodes.title):
                parent = parent.parent
            if parent is not None or isinstance(text.parent, nodes.literal_block):
                continue
            said, parts, end = text.astext(), [], 0
            for key, match in citations(said):
                if key in links:
                    cited = nodes.reference("", match[0], refuri=links[key])
                    parts += [nodes.Text(said[end : match.start()]), cited]
                    end = match.end()
            if parts:
                text.parent.replace(text, [*parts, nodes.Text(said[end:])])


def setup(app: Sphinx) -> dict[str, Any]:
    """Make it so."""
    app.add_post_transform(LinksToPapers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
