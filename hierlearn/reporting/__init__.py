"""One HTML file about a fitted classifier: what it confuses, groups, gains and costs.

:func:`report` writes the file; :func:`gather` collects what is in it as plain values,
:func:`render` makes a page of them. ``python -m hierlearn report`` does so from a shell.
"""

from hierlearn.reporting.data import ReportData
from hierlearn.reporting.gathering import gather
from hierlearn.reporting.rendering import render
from hierlearn.reporting.writing import report

__all__ = ["ReportData", "gather", "render", "report"]
