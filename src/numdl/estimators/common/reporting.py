"""Summary and report of a fit: what can be shown of any fitted estimator?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_is_fitted


class ReportMixin:
    """Estimators that sum up their fit and write a page about it; each says in ``_summarize`` what there is."""

    def summary(self, X: Any = None, y: Any = None, *, title: str | None = None, **facts: Any) -> Any:
        """What a report shows, as plain arrays.

        Args:
            X: held-out rows, (n, d); None leaves out everything that needs rows.
            y: their targets.
            title: heading.
            **facts: more fields of ``numdl.report.FitSummary``.

        Returns:
            ``numdl.report.FitSummary``.
        """
        check_is_fitted(self)
        return self._summarize(X, y, title=title, **facts)

    def report(self, path: str | Path, X: Any = None, y: Any = None, *, title: str | None = None) -> None:
        """Write one self-contained HTML page about the fit.

        Args:
            path: of the page.
            X: rows to judge the fit by, (n, d); best rows that were not trained on.
            y: their targets.
            title: heading.
        """
        from numdl.report import write_page

        write_page(self.summary(X, y, title=title), path)

    def _summarize(self, X: Any, y: Any, **fields: Any) -> Any:
        """The summary of this kind of estimator."""
        raise NotImplementedError(type(self).__name__)
