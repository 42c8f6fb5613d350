"""Bidiagonalisation: A V = U B, orthogonality where it is kept and its loss where not, breakdowns by name."""

import numpy as np
import pytest
from krylov_problems import ill_conditioned, random_problem

from numdl.linalg import bidiagonalise, golub_kahan


def check_orthonormal(*bases):
    for basis in bases:
        np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)


@pytest.mark.parametrize("kept", [True, False])
def test_relations(kept):
    A, b = ill_conditioned()
    found = bidiagonalise(A, b, 15, reorthogonalise=kept)
    assert found.U.shape == (60, 16) and found.B.shape == (16, 15) and found.V.shape == (40, 15)
    np.testing.assert_allclose(found.U[:, 0] * np.linalg.norm(b), b, rtol=1e-14)
    np.testing.assert_allclose(A @ found.V, found.U @ found.B, atol=1e-14)
    # A' U = V B' for the columns that have all their coefficients
    np.testing.assert_allclose(A.T @ found.U[:, :-1], found.V @ found.B[:-1].T, atol=1e-14)
    assert np.array_equal(found.B, np.tril(np.triu(found.B, -1))) and np.all(found.B.diagonal() > 0)
    assert found.status.code == "max_iter"


def test_orthogonality_is_kept_and_its_loss_is_seen():
    """The mutant of the check is the method without reorthogonalisation."""
    A, b = ill_conditioned()
    kept = bidiagonalise(A, b, 35)
    check_orthonormal(kept.U, kept.V)
    lost = bidiagonalise(A, b, 35, reorthogonalise=False)
    with pytest.raises(AssertionError):
        check_orthonormal(lost.U, lost.V)
    assert np.max(np.abs(lost.V.T @ lost.V - np.eye(35))) > 0.1


def test_singular_values_come_largest_first():
    A, b = ill_conditioned(smallest=1e-3)
    exact = np.linalg.svd(A, compute_uv=False)
    for steps in (20, 40):
        found = np.linalg.svd(bidiagonalise(A, b, steps).B, compute_uv=False)
        np.testing.assert_allclose(found[: steps // 4], exact[: steps // 4], rtol=1e-3 if steps < 40 else 1e-10)
    np.testing.assert_allclose(found, exact, rtol=1e-10)


@pytest.mark.parametrize(("shape", "name"), [((12, 7), "alpha"), ((7, 7), "beta"), ((4, 9), "beta"), ((1, 1), "beta")])
def test_all_columns_end_in_a_breakdown(shape, name):
    found = bidiagonalise(*random_problem(*shape), steps=100)
    assert found.status.converged and f"Breakdown of {name} at column {min(shape)}" in found.status.message
    check_orthonormal(found.V, found.U[:, : np.linalg.matrix_rank(found.U)])


def test_breakdown_in_a_small_space():
    rng = np.random.default_rng(3)
    U, V = np.linalg.qr(rng.normal(size=(9, 6)))[0], np.linalg.qr(rng.normal(size=(6, 6)))[0]
    A = U * np.array([3.0, 3, 3, 0.5, 0.5, 0]) @ V.T
    steps = list(golub_kahan(A, U @ np.ones(6)))
    assert len(steps) == 2 and [step.status.code for step in steps] == ["running", "converged"]
    assert "alpha" in steps[-1].status.message and steps[-1].following == 0.0
    assert "beta" in bidiagonalise(A, U[:, 0] + U[:, 3], 9).status.message


def test_steps_follow_on_each_other():
    steps = list(golub_kahan(*random_problem(), max_steps=4))
    assert len(steps) == 4
    assert [step.following for step in steps[:-1]] == [step.alpha for step in steps[1:]]


def test_without_reorthogonalisation_columns_may_outnumber_the_space():
    A, b = ill_conditioned()
    assert len(list(golub_kahan(A, b, reorthogonalise=False, max_steps=70))) == 70
    assert len(list(golub_kahan(A, b, max_steps=70))) <= 40


def test_nothing_to_start_from():
    A = np.vstack([np.eye(2), np.zeros(2)])
    for b in (np.zeros(3), np.array([0, 0, 1.0])):
        assert list(golub_kahan(A, b)) == []
        with pytest.raises(ValueError, match="A' b = 0"):
            bidiagonalise(A, b, 2)
    with pytest.raises(ValueError, match=r"steps=0\): needs a whole number >= 1"):
        bidiagonalise(A, np.ones(3), 0)
