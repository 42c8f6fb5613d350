"""Shell completion: which words may an option or an argument take, for the help and for the Tab key?

The rooms that own these words take seconds to import, which is long after a key was pressed; a test holds the lists to
theirs. Names of the course are asked of it, as its lists are read quickly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

TASKS = ("auto", "regression", "classification")
TABLE_MODELS = ("auto", "resnet", "mlp", "single-layer", "linear", "random-features", "kernel")
IMAGE_MODELS = ("patches", "images")
DYNAMICS = (
    "plain",
    "antisymmetric",
    "symmetric",
    "low_rank",
    "circulant",
    "convolution",
    "double",
    "double_symmetric",
    "parabolic",
    "contractive",
    "m_matrix",
    "reaction_diffusion",
    "hamiltonian",
    "double_hamiltonian",
    "h1",
    "second_order",
    "hyperbolic",
)
SCHEMES = (
    "euler",
    "heun",
    "rk3",
    "rk4",
    "adams_bashforth",
    "symplectic_euler",
    "verlet",
    "implicit_midpoint",
    "imex",
)
DTYPES = ("float64", "float32")
LANGUAGES = ("numpy", "c", "onnx", "matlab")
LOSSES = ("squared", "pseudo-huber")
POLICIES = ("refuse", "drop", "impute")
DATES = ("drop", "elapsed", "cyclic")
OPERATORS = ("identity", "difference", "gradient", "laplacian")


def listed(words: Iterable[str]) -> str:
    """Words as a sentence names them.

    Args:
        words: at least two.

    Returns:
        "a, b or c".
    """
    *most, last = words
    return f"{', '.join(most)} or {last}"


def one_of(*words: str) -> Callable[[str], list[str]]:
    """What typer asks when the key is pressed.

    Args:
        words: that are known.

    Returns:
        A function of what was typed so far, to the words that begin with it.
    """
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


def experiments(incomplete: str) -> list[str]:
    """Names of experiments that begin with what was typed."""
    from numdl.course import REGISTRY

    return one_of(*REGISTRY)(incomplete)


def assignments(incomplete: str) -> list[str]:
    """Names of assignments that begin with what was typed."""
    from numdl.course.assignments import REGISTRY

    return one_of(*REGISTRY)(incomplete)


def references(incomplete: str) -> list[str]:
    """Names of reference results that begin with what was typed."""
    from numdl.course.reference import names

    return one_of(*names())(incomplete)
