"""How a finished run is shown: one page for people who decide, one print for who ran it.

What belongs here: the facts that a run leaves (`data`), what is computed from them (`figures`), the
self-contained HTML page with its charts (`page`), and the print at the end (`terminal`). What does
not: collecting the facts, and anything that reads a clock, a file or a network: a report is a
function of its data.
"""

from sojourn.demo.report.data import ReportData
from sojourn.demo.report.page import render_report
from sojourn.demo.report.terminal import render_terminal

__all__ = ["ReportData", "render_report", "render_terminal"]
