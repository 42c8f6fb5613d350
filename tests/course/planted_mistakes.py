"""Mistakes planted into the reference solutions: for each task its name, then what is replaced by what.

Written as a student would make them, in vectorised programs, while the checker goes another way.
"""

MISTAKES = {
    "softmax": [
        ("sign of the gradient", [("(P - C)", "(C - P)")]),
        ("sign of the value", [("np.sum(np.log(E.sum(axis=1)) - np", "-np.sum(np.log(E.sum(axis=1)) - np")]),
        ("1/n lost", [(" / len(X)", "")]),
        ("1/n lost", [("(P - C).T @ X / len(X)", "(P - C).T @ X")]),
        ("no shift", [("    S = S - S.max(axis=1, keepdims=True)\n", "")]),
        ("one shift for all samples", [("S.max(axis=1, keepdims=True)", "S.max()")]),
        ("gradient of the first term with +", [("(P - C)", "(P + C)")]),
        ("transposed", [("(P - C).T @ X", "X.T @ (P - C)")]),
        (
            "shift of 1e-5 in the Hessian",
            [("keepdims=True))).T @ X / len(X)", "keepdims=True))).T @ X / len(X) + 1e-5 * V")],
        ),
    ],
}
