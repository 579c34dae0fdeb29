"""The site: Sphinx reads README, docs, results and docstrings where they stand, so links work as on GitHub."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

project = "gradreach"
author = copyright = "The gradreach authors"  # noqa: A001
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
extensions += ["repository", "reference", "languages", "links_to_papers", "math_without_scripts", "built"]
root_doc = "README"
include_patterns = ["*.md", "docs/**", "results/README.md", "results/**/README.md", "results/performance/*.md"]
exclude_patterns = [".*", "build", "conf", "src", "tests", "benchmarks", "results/runs", "results/published/runs"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # the founding notes have headings of their own
nb_execution_mode = "off"  # notebooks are run by the tests; their sliders need a kernel
autodoc_typehints_format = "short"
autodoc_member_order = "groupwise"
autodoc_mock_imports = ["transformers"]  # what Hugging Face's Trainer needs is not installed for the site
maximum_signature_line_length = 90

templates_path = ["templates"]
html_theme = "furo"
html_title = "gradreach"
html_search_language = "en+zh"
html_math_renderer = "mathml"
html_show_sphinx = False
html_copy_source = False
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "report.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_css_files = ["site.css"]
html_static_path = ["static"]
