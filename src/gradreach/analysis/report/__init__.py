"""One page of everything: ``results/report.html``, self-contained, the same bytes from the same records."""

from gradreach.analysis.report.page import write_report

__all__ = ["write_report"]
