"""How does a fitted estimator leave Python, or enter the programs of others: files, pure functions, derivatives?"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from numdl import checks


class ExportMixin:
    """Estimators that can be written as a function in another language, where ``numdl.export`` has a formula."""

    def export(
        self, path: str | os.PathLike[str], to: str | None = None, *, std: bool | str | float = "auto", rows: Any = None
    ) -> Path:
        """Write the fitted model as a function of a few pages that needs neither numdl nor JAX.

        Args:
            path: the file to make or replace; its folder must exist.
            to: "numpy" (a module), "c" (C99 without allocation), "onnx" or "matlab"; None to tell by the ending, .py,
                .c, .onnx or .m.
            std: whether it computes standard deviations too; "auto" where they need at most a million numbers; a number
                up to 0.1 for some that may be too large by this share of themselves, where that needs fewer numbers, as
                of smooth functions of many rows.
            rows: rows (n, d) that the file carries with their predictions, for its self-test; ten are drawn if not
                given.

        Returns:
            The file.

        Raises:
            NotFittedError: not fitted.
            ValueError: there is no formula for this model, which is told by name; or an argument cannot be used.
            OSError: the file cannot be written.

        Examples:
            >>> import tempfile
            >>> import numpy as np
            >>> from numdl import TikhonovRegressor
            >>> x = np.linspace(-1, 1, 20)[:, None]
            >>> model = TikhonovRegressor().fit(x, 2 * x[:, 0] + 1)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     print(model.export(f"{folder}/line.py").name)
            ...
            line.py
        """
        _fitted(self)
        from numdl.export.write import export

        checks.path("export", path)
        return export(self, path, to, std=std, rows=rows)

    def as_jax(self, *, std: bool = False) -> Callable[[Any], Any]:
        """The fitted model as a pure function, for ``jax.grad``, ``jax.jit`` and optimisers of others.

        Args:
            std: whether the function returns a pair, mean and standard deviation.

        Returns:
            A function of one row (d,) or of rows (n, d). Regressors give the mean, (), (k,), (n,) or (n, k);
            classifiers the probabilities, (classes,) or (n, classes). It computes in float64
            inside ``jax.enable_x64(True)``.

        Raises:
            NotFittedError: not fitted.
            ValueError: there is no formula for this model, or no deviations.

        Examples:
            >>> import jax
            >>> import numpy as np
            >>> from numdl import TikhonovRegressor
            >>> x = np.linspace(-1, 1, 20)[:, None]
            >>> model = TikhonovRegressor().fit(x, 2 * x[:, 0] + 1)
            >>> round(float(jax.grad(model.as_jax())(np.ones(1))[0]), 5)
            2.0
        """
        _fitted(self)
        std = checks.flag("as_jax", "std", std)
        import jax.numpy as jnp

        from numdl.export import CannotExport, describe
        from numdl.export.evaluate import run

        described = describe(self, std=std)
        names = described.names if std else described.names[:1]
        if std and "std" not in names:
            raise CannotExport(f"as_jax(std=True): {described.model} has no deviations. {described.no_std}")

        def function(x: Any) -> Any:
            x = jnp.asarray(x, float)
            values = run(described.program, names, jnp.atleast_2d(x), jnp, {})
            if described.classes is None and described.flat:
                values = [value[:, 0] for value in values]
            values = [value[0] for value in values] if x.ndim == 1 else values
            return tuple(values) if std else values[0]

        return function


class GradientMixin:
    """Regressors that know the derivative of their predictions."""

    def gradient(self, X: Any) -> np.ndarray:
        """Derivative of the prediction by the inputs.

        Args:
            X: rows, (n, d).

        Returns:
            (n, d), or (n, k, d) for several targets, units of the target over units of the input.

        Raises:
            NotFittedError: not fitted.
            ValueError: X is not what it was fitted on, or there is no formula for this model.
        """
        _fitted(self)
        from numdl.estimators.common.intake import checked_table
        from numdl.export import CannotExport, describe
        from numdl.export.slopes import gradients

        X = checked_table(self, f"{type(self).__name__}.gradient", X, reset=False)
        try:
            described = describe(self, std=False)
            program = described.program
            program.results["gradient"] = program.join(gradients(program, "mean")).at
        except CannotExport as error:
            return self._gradient_without_formula(X, error)
        (found,) = described.evaluate(X, "gradient")
        return found if described.flat else found.reshape(len(X), described.k, -1)

    def _gradient_without_formula(self, X: Any, error: Exception) -> np.ndarray:
        """The same of models that have another way; ``error`` says why there is no formula."""
        raise error


def _fitted(estimator: Any) -> None:
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(estimator)
