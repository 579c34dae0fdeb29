"""One page of everything: ``results/report.html``, self-contained, the same bytes from the same records."""

from gradreach.analysis.pages.report.page import write_report
from gradreach.analysis.pages.report.sections import Section, section_of

__all__ = ["Section", "section_of", "write_report"]
