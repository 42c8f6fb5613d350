import numpy as np
import pytest
import scipy.sparse as sparse

from numdl.data.problems.inverse_problems import (
    ELLIPSES,
    deblurring,
    image_deblurring,
    phantom,
    phillips,
    shaw,
    tomography,
)
from numdl.linalg import Convolution1D, Convolution2D, as_operator

PROBLEMS = {
    "deblurring": deblurring,
    "image_deblurring": image_deblurring,
    "phillips": phillips,
    "shaw": shaw,
    "tomography": tomography,
}


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("n", [8, 11])
def test_the_answer_belongs_to_the_data(name, n):
    problem = PROBLEMS[name](n)
    assert problem.A.shape == (len(problem.b), len(problem.x)) and np.isfinite(problem.b).all()
    np.testing.assert_array_equal(problem.A @ problem.x, problem.b)
    assert problem.image is None or problem.image[0] * problem.image[1] == len(problem.x)


@pytest.mark.parametrize("name", PROBLEMS)
def test_bad_sizes_are_refused(name):
    with pytest.raises(ValueError, match=rf"{name}\(n=7.*needs a whole number >= 8"):
        PROBLEMS[name](7)


@pytest.mark.parametrize(("make", "second"), [(deblurring, 0.0), (image_deblurring, np.nan), (tomography, 0)])
def test_bad_widths_and_angles_are_refused(make, second):
    with pytest.raises(ValueError, match=r"needs a (finite|whole) number >"):
        make(16, second)


def test_errors_have_the_stated_size():
    problem = deblurring(400)
    error = problem.noisy(0.1, 3) - problem.b
    # The square of the norm of 400 normal numbers deviates by a part of sqrt(2 / 400) = 7 %, its root by half of it.
    assert np.linalg.norm(error) / np.linalg.norm(problem.b) == pytest.approx(0.1, rel=4 * 0.035)
    np.testing.assert_array_equal(problem.noisy(0.1, 3), problem.noisy(0.1, 3))
    np.testing.assert_array_equal(problem.noisy(0.0), problem.b)


@pytest.mark.parametrize("method", ["fft", "direct"])
@pytest.mark.parametrize("width", [0.02, 0.3])
def test_blurs_are_the_convolutions_with_their_kernels(method, width):
    for problem, kind, grid in (
        (deblurring(30, width), Convolution1D, 30),
        (image_deblurring(12, width), Convolution2D, (12, 12)),
    ):
        A = problem.A.toarray() if sparse.issparse(problem.A) else problem.A

        def distance(kernel, A=A, kind=kind, grid=grid):
            return np.abs(as_operator(kind(kernel, grid, method=method)) @ np.eye(len(A)) - A).max()

        assert distance(problem.kernel) < 1e-13
        assert distance(np.roll(problem.kernel, 1)) > 1e-3  # planted: a kernel off its centre


def wrong_data_of_phillips(s):
    return (6 - abs(s)) * (1 + 0.5 * np.cos(np.pi * s / 3)) + 9 / np.pi * np.sin(np.pi * abs(s) / 3)


def data_of_phillips(s):
    """The integral of K(s, t) phi(t) over t, by hand."""
    return (6 - abs(s)) * (1 + 0.5 * np.cos(np.pi * s / 3)) + 9 / (2 * np.pi) * np.sin(np.pi * abs(s) / 3)


@pytest.mark.parametrize(("formula", "agrees"), [(data_of_phillips, True), (wrong_data_of_phillips, False)])
def test_phillips_has_the_data_of_the_integral(formula, agrees):
    n = 240
    s = 12 * (np.arange(n) + 0.5) / n - 6
    assert (np.abs(phillips(n).b - formula(s)).max() < 1e-4) == agrees


@pytest.mark.parametrize(("shift", "agrees"), [(0, True), (1, False)])  # planted: values of neighbouring points
def test_shaw_converges_with_the_square_of_the_step(shift, agrees):
    # At three times as many points the middles of the coarse cells are among those of the fine ones.
    fine = shaw(27 * 36).b[13::27]
    errors = [np.abs(shaw(36 * m).b[m // 2 + (m > 1) * shift :: m] - fine).max() for m in (1, 3)]
    assert (abs(np.log(errors[0] / errors[1]) / np.log(3) - 2) < 0.1) == agrees


def test_shaw_is_far_worse_than_phillips():
    conditions = [np.linalg.cond(make(40).A) for make in (phillips, shaw)]
    assert conditions[0] < 1e6 < 1e15 < conditions[1]


def chords(n, angles):
    """Lengths of the rays of `tomography` in the whole square, from its four edges."""
    rays = int(np.ceil(2**0.5 * n)) + 1
    offsets = np.arange(rays) - (rays - 1) / 2
    lengths = []
    for angle in np.pi * np.arange(angles) / angles:
        c, s = abs(np.cos(angle)), abs(np.sin(angle))
        far, near = n / 2 * (c + s), n / 2 * abs(c - s)
        height = n / max(c, s)
        slope = np.clip((far - np.abs(offsets)) / max(far - near, 1e-300), 0, 1)
        lengths.append(height * slope)
    return np.concatenate(lengths)


def test_rays_have_the_length_of_their_chords():
    n, angles = 11, 7  # odd numbers: no ray along an edge of the square
    A = tomography(n, angles).A
    expected = chords(n, angles)
    np.testing.assert_allclose(A.sum(axis=1), expected, atol=1e-9)
    assert np.abs(tomography(n, angles + 1).A.sum(axis=1)[: len(expected)] - expected).max() > 0.1  # planted


def test_rays_through_a_disc_measure_its_chords():
    n, angles, radius = 64, 6, 20.0
    A = tomography(n, angles).A
    middle = np.arange(n) + 0.5 - n / 2

    def error(x0, y0):
        disc = np.hypot(middle - x0, -middle[:, None] - y0) <= radius  # first row on top
        rays = A.shape[0] // angles
        offsets = np.arange(rays) - (rays - 1) / 2
        exact = [
            2 * np.sqrt(np.clip(radius**2 - (offsets + np.sin(a) * 8 - np.cos(a) * 5) ** 2, 0, None))
            for a in np.pi * np.arange(angles) / angles
        ]
        return np.linalg.norm(A @ disc.ravel() - np.concatenate(exact)) / np.linalg.norm(exact)

    assert error(8.0, 5.0) < 0.03
    assert error(8.0, -5.0) > 0.2  # planted: rows counted from the bottom


def test_rays_on_a_line_of_the_grid_are_counted_once():
    n = 9  # 14 rays: offsets are halves and so are the lines of the grid
    A = tomography(n, 2).A.toarray().reshape(2, -1, n, n)
    rays = A.shape[1]
    inside = np.abs(np.arange(rays) - (rays - 1) / 2) < n / 2
    np.testing.assert_allclose(A, np.round(A), atol=1e-12)
    np.testing.assert_allclose(A.sum(axis=(2, 3))[:, inside], n, rtol=1e-12)
    assert A.max() == pytest.approx(1)


def test_the_phantom_stands_upright_and_has_its_mass():
    picture = phantom(64)
    assert picture.min() > -1e-12 and picture.max() <= 1 + 1e-12
    assert picture[:32].sum() > picture[32:].sum()  # the large light ellipse is above, the small ones below
    # Areas of the ellipses, as a part of the square; where they overlap, intensities add.
    mass = np.pi * ELLIPSES[:, 0] @ (ELLIPSES[:, 1] * ELLIPSES[:, 2]) / 4
    assert picture.mean() == pytest.approx(mass, rel=0.01)
