"""Task: a convolution as stencil, as matrix and by FFT, with three borders.

The numbers to compare with come from sums over single entries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numdl.course.assignments.task import Check, Data, Function, Functions, Mistake, Task, close, holds

BORDERS = ("zero", "periodic", "reflecting")


def draw(rng: np.random.Generator) -> Data:
    """Data of one student: a stencil that is not symmetric, a signal, and another one."""
    return Data(
        theta=rng.uniform(0.5, 2, 3) * np.array([1, -1, 0.3]), y=rng.standard_normal(9), u=rng.standard_normal(9)
    )


def build(*, flipped: tuple[str, ...] = (), wrapped: bool = False, lost: str = "") -> dict[str, Callable[..., Any]]:
    """The functions; the switches put mistakes in."""

    def place(i: int, n: int, border: str) -> int | None:
        """Where the value beyond the border is taken from."""
        if 0 <= i < n:
            return i
        if border == "zero" and not wrapped:
            return None
        return i % n if border == "periodic" or wrapped else max(0, min(i, n - 1))

    def entries(n: int, border: str, where: str) -> list[tuple[int, int, int]]:
        """Row, column and place in the stencil of each term."""
        sign = 1 if where in flipped else -1
        found = [(i, place(i + sign * j, n, border), j + 1) for i in range(n) for j in (-1, 0, 1)]
        return [(i, c, j) for i, c, j in found if c is not None]

    def convolve(theta: np.ndarray, y: np.ndarray, border: str) -> Any:
        z = np.zeros(len(y))
        for i, c, j in entries(len(y), border, "convolve"):
            z[i] += theta[j] * y[c]
        return z

    def matrix(theta: np.ndarray, n: int, border: str) -> Any:
        K = np.zeros((n, n))
        for i, c, j in entries(n, border, "matrix"):
            K[i, c] += theta[j]
        return K

    def eigenvalues(theta: np.ndarray, n: int) -> Any:
        turn = 2j * np.pi * np.arange(n) / n * (-1 if lost != "eigenvalues" else 1)
        return sum(theta[j + 1] * np.exp(j * turn) for j in (-1, 0, 1))

    def fourier(theta: np.ndarray, y: np.ndarray) -> Any:
        n = len(y)
        waves = np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n)
        factors = eigenvalues(theta, n)
        factors = factors.conj() if "fourier" in flipped else factors
        return (waves.conj() @ (factors * (waves @ y))).real / n

    def adjoint(theta: np.ndarray, u: np.ndarray, border: str) -> Any:
        z = np.zeros(len(u))
        for i, c, j in entries(len(u), border, "adjoint"):
            if lost == "all" or (lost == "periodic" and border == "periodic"):
                z[i] += theta[j] * u[c]
            else:
                z[c] += theta[j] * u[i]
        return z

    def slope(y: np.ndarray, u: np.ndarray, border: str) -> Any:
        g = np.zeros(3)
        for i, c, j in entries(len(y), border, "slope"):
            g[j] += u[i] * y[c]
        return g

    made = [convolve, matrix, eigenvalues, fourier, adjoint, slope]
    return {one.__name__: one for one in made}


def _each(run: Callable[[Functions, Data, str], Any]) -> Callable[[Functions, Data], Any]:
    return lambda f, z: {border: run(f, z, border) for border in BORDERS}


def _adjoint(f: Functions, z: Data) -> Any:
    return [
        np.vdot(z.u, f.convolve(z.theta, z.y, border)) - np.vdot(z.y, f.adjoint(z.theta, z.u, border))
        for border in BORDERS
    ]


TASK = Task(
    name="convolution",
    title="One convolution, three ways and three borders",
    text="""
    A stencil $\\theta = (\\theta_{-1}, \\theta_0, \\theta_1)$ acts on a signal by

    $$ z_i = \\sum_{j=-1}^{1} \\theta_j\\, y_{i-j}, $$

    mind the minus. Beyond its ends the signal is zero ("zero"), goes on at its other end ("periodic"), or repeats its
    last value ("reflecting": $y_{-1} = y_0$, $y_n = y_{n-1}$). Write the sum, its matrix, and for the periodic border
    the eigenvalues and the product by FFT; then the transposed product, and the derivative of $u'z$ in the stencil.
    """,
    functions=(
        Function(
            "convolve",
            "theta, y, border",
            """
            The convolution z (n,).

            Args:
                theta: stencil (3,), theta[0] belongs to j = -1.
                y: signal (n,).
                border: "zero", "periodic" or "reflecting".

            >>> convolve(np.array([1.0, 10, 100]), np.array([1.0, 2, 3]), "zero").tolist()
            [12.0, 123.0, 230.0]
            >>> convolve(np.array([1.0, 10, 100]), np.array([1.0, 2, 3]), "reflecting").tolist()
            [112.0, 123.0, 233.0]
            """,
            lambda theta, y, border: y.shape,
        ),
        Function("matrix", "theta, n, border", "Matrix K (n, n) with z = K y.", lambda theta, n, border: (n, n)),
        Function(
            "eigenvalues",
            "theta, n",
            "Eigenvalues (n,) of the periodic matrix in the order of numpy.fft.fft: those of F K F^-1, complex.",
            lambda theta, n: (n,),
        ),
        Function("fourier", "theta, y", "The periodic convolution z (n,) by FFT, real.", lambda theta, y: y.shape),
        Function("adjoint", "theta, u, border", "The transposed product K'u (n,).", lambda theta, u, border: u.shape),
        Function(
            "slope",
            "y, u, border",
            """
            Derivative of u'z in the stencil, (3,).

            >>> slope(np.array([1.0, 2, 3]), np.array([1.0, 0, 0]), "periodic").tolist()
            [2.0, 1.0, 3.0]
            """,
            lambda y, u, border: (3,),
        ),
    ),
    draw=draw,
    build=build,
    mistakes=(
        Mistake(
            "correlation for convolution",
            "The signal is taken at i - j, not at i + j: this turns the stencil around.",
            tuple(
                {"flipped": where}
                for where in (
                    ("convolve", "matrix", "adjoint", "slope", "fourier"),
                    ("convolve",),
                    ("matrix",),
                    ("slope",),
                    ("fourier",),
                    ("convolve", "matrix"),
                )
            ),
        ),
        Mistake("border wrapped around", "Only the periodic border goes on at the other end.", ({"wrapped": True},)),
        Mistake(
            "conjugate lost",
            "K' has the conjugate eigenvalues: this is K u, not K'u.",
            ({"lost": "all"}, {"lost": "periodic"}, {"lost": "eigenvalues"}),
        ),
    ),
    checks=(
        Check("stencil", "2.7", _each(lambda f, z, border: f.convolve(z.theta, z.y, border)), close(1e-12)),
        Check("matrix", "2.7", _each(lambda f, z, border: f.matrix(z.theta, 9, border)), close(1e-12)),
        Check("eigenvalues of the periodic matrix", "2.7", lambda f, z: f.eigenvalues(z.theta, 9), close(1e-12)),
        Check("by FFT", "2.7", lambda f, z: f.fourier(z.theta, z.y), close(1e-11)),
        Check("transposed", "2.7", _each(lambda f, z, border: f.adjoint(z.theta, z.u, border)), close(1e-12)),
        Check(
            "adjoint test for three borders",
            "2.6",
            _adjoint,
            holds(
                lambda s: np.abs(s[""]).max() < 1e-12, "<u, K y> = <K'u, y>", lambda s: f"{np.abs(s['']).max():.3g} off"
            ),
        ),
        Check("derivative in the stencil", "2.7", _each(lambda f, z, border: f.slope(z.y, z.u, border)), close(1e-12)),
    ),
    elsewhere="""
    A stencil `theta` and signals `y`, `u`. Answers: `zzero`, `zperiodic`, `zreflecting`, the convolution of `y`;
    `absolute`, absolute values of the nine eigenvalues; `adjointzero`, `adjointperiodic`, `adjointreflecting` of
    `u`; `slopezero`, `slopeperiodic`, `slopereflecting` of `y` and `u`.
    """,
    tables=lambda z: {"theta": z.theta, "y": z.y, "u": z.u},
    answers=lambda f, z: {
        **{"z" + border: f.convolve(z.theta, z.y, border) for border in BORDERS},
        "absolute": np.abs(f.eigenvalues(z.theta, 9)),
        **{"adjoint" + border: f.adjoint(z.theta, z.u, border) for border in BORDERS},
        **{"slope" + border: f.slope(z.y, z.u, border) for border in BORDERS},
    },
    refused=("scipy.signal", "scipy.ndimage", "numpy.convolve", "numpy.correlate"),
)
