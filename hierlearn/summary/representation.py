"""The summary as a method, and under scikit-learn's HTML diagram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from .estimators import summarise
from .table import Summary


class SummaryMixin:
    """Give an estimator its ``summary()``, in notebooks below its diagram."""

    def summary(self, max_clusters: int = 20, names: Sequence[Any] | None = None) -> Summary:
        """Say what was learnt: settings, accuracy a level, cost and clusters by name.

        What an estimator does not have is left out.

        Parameters
        ----------
        max_clusters : int, default=20
            Clusters listed at most; of more, those most confused within are.
        names : sequence of length n_classes or None, default=None
            What classes are called, in the order of ``classes_``, which of several labels a
            sample are numbers; None takes these.

        Returns
        -------
        Summary
            Print it: 80 columns of a terminal hold it. A notebook shows it as HTML.
        """
        check_is_fitted(self)
        return summarise(self, max_clusters, names)

    # Both are IPython's protocol, and scikit-learn's: the diagram first, the partition below it.

    @property
    def _repr_html_(self) -> Any:
        diagram: Any = super()._repr_html_  # type: ignore[misc]
        return lambda: diagram() + self._partition_html()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(**kwargs)  # type: ignore[misc]
        if "text/html" in bundle:
            bundle["text/html"] += self._partition_html()
        return bundle

    def _partition_html(self) -> str:
        try:
            return self.summary(max_clusters=50).to_html()
        except NotFittedError:
            return ""
