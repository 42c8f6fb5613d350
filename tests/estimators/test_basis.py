"""Polynomials and waves: orthogonality, the same space in three bases, scikit-learn's checks."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from numdl.estimators.basis import BASES, BasisFeatures


@parametrize_with_checks([BasisFeatures(basis, 3) for basis in BASES])
def test_scikit_learn(estimator, check):
    check(estimator)


def gram(basis, degree=4):
    """Inner products on [2, 5] by Gauss-Legendre quadrature, for Chebyshev at its own nodes and weights."""
    if basis == "chebyshev":
        t, w = np.polynomial.chebyshev.chebgauss(40)
    else:
        t, w = np.polynomial.legendre.leggauss(40)
    z = BasisFeatures(basis, degree, interval=(2.0, 5.0)).fit_transform((3.5 + 1.5 * t)[:, None])
    return z.T @ (w[:, None] * z)


@pytest.mark.parametrize("basis", ["legendre", "chebyshev", "fourier"])
def test_functions_are_orthogonal_on_the_interval(basis):
    G = gram(basis)
    np.testing.assert_allclose(G, np.diag(np.diag(G)), atol=1e-12)
    degrees = np.arange(1, 5)
    norms = {"legendre": 2 / (2 * degrees + 1), "chebyshev": np.full(4, np.pi / 2), "fourier": np.ones(8)}
    np.testing.assert_allclose(np.diag(G), norms[basis], atol=1e-12)
    mutant = gram("monomial")
    assert np.max(np.abs(mutant - np.diag(np.diag(mutant)))) > 0.1


@pytest.mark.parametrize("basis", ["legendre", "chebyshev", "monomial"])
def test_a_polynomial_is_reproduced_beyond_the_samples_too(basis):
    x = np.linspace(-1, 3, 20)[:, None]
    model = make_pipeline(BasisFeatures(basis, 4), LinearRegression()).fit(x, 1 - x[:, 0] + 2 * x[:, 0] ** 4)
    np.testing.assert_allclose(model.predict([[4.0]]), 1 - 4 + 2 * 4.0**4, rtol=1e-9)


def test_waves_repeat_with_the_interval():
    waves = BasisFeatures("fourier", 3, interval=(0.0, 2.0)).fit([[0.0]])
    np.testing.assert_allclose(waves.transform([[0.3]]), waves.transform([[2.3]]), atol=1e-12)


def test_columns_follow_each_other_with_their_names():
    x = np.array([[0.0, 7.0], [1.0, 9.0], [0.25, 8.0]])
    both = BasisFeatures("fourier", 2).fit(x)
    one = [BasisFeatures("fourier", 2).fit_transform(x[:, [j]]) for j in (0, 1)]
    np.testing.assert_array_equal(both.transform(x), np.hstack(one))
    names = both.get_feature_names_out(["a", "b"])
    assert list(names[:5]) == ["a_cos_1", "a_cos_2", "a_sin_1", "a_sin_2", "b_cos_1"]
    assert list(BasisFeatures(degree=2).fit(x).get_feature_names_out()[:2]) == ["x0_legendre_1", "x0_legendre_2"]


def test_a_constant_column_stays_finite():
    assert np.isfinite(BasisFeatures().fit_transform(np.ones((4, 1)))).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"basis": "hermite"}, "Use one of 'legendre', 'chebyshev', 'monomial', 'fourier'"),
        ({"degree": 0}, r"degree=0\): needs a whole number >= 1"),
        ({"interval": (1.0, 1.0)}, "needs low < high"),
    ],
)
def test_what_cannot_be_used_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BasisFeatures(**options).fit([[0.0], [1.0]])
