"""The one interface for experiments: ``experiments/<name>.py`` imports nothing else from gradreach.

    from gradreach.study import Claim, Study, compare, figure, table

    STUDY = Study(question="…", claim=Claim("…", parts={"…": compare("test/accuracy", "lstm", "rnn").above(5)}), …)

docs/experiments.md has a whole example; docs/results.md tells the columns of the run table.
"""

from gradreach.analysis.column_words import column
from gradreach.analysis.figures import dots, gradient_by_lag, metric_against
from gradreach.analysis.figures.decoding_by_lag import by_run, decoding_by_lag
from gradreach.analysis.naming import named
from gradreach.analysis.results import Results
from gradreach.analysis.stats.statistics import longest_solved
from gradreach.analysis.stats.verdict import Effect, effect_of
from gradreach.analysis.study.asked import measure
from gradreach.analysis.study.by_function import by_function
from gradreach.analysis.study.comparison import compare
from gradreach.analysis.study.contrast import contrast
from gradreach.analysis.study.declaration import Answer, Claim, Study
from gradreach.analysis.study.page_figures import figure
from gradreach.analysis.study.page_tables import computed, effects, table
from gradreach.analysis.study.parts import Quantity, arithmetic
from gradreach.analysis.study.times import time_ratio
from gradreach.analysis.study.value import share, value
from gradreach.look import display_name
from gradreach.rounding import number
from gradreach.run_table.committed import CONFIRMATORY

__all__ = [
    "CONFIRMATORY",
    "Answer",
    "Claim",
    "Effect",
    "Quantity",
    "Results",
    "Study",
    "arithmetic",
    "by_function",
    "by_run",
    "column",
    "compare",
    "computed",
    "contrast",
    "decoding_by_lag",
    "display_name",
    "dots",
    "effect_of",
    "effects",
    "figure",
    "gradient_by_lag",
    "longest_solved",
    "measure",
    "metric_against",
    "named",
    "number",
    "share",
    "table",
    "time_ratio",
    "value",
]
