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
    "cgls": [
        ("d'd for s's", [("new = s @ s", "new = d @ d"), ("np.sqrt(new)", "np.linalg.norm(s)")]),
        (
            "normal equations formed",
            [
                ("    r = b\n    s = At(r)", "    s = At(b)\n    M = np.array([At(A(e)) for e in np.eye(len(s))])"),
                ("q = A(d)", "q = M @ d"),
                ("gamma / (q @ q)", "gamma / (d @ q)"),
                ("        r = r - alpha * q\n        s = At(r)", "        s = s - alpha * q"),
            ],
        ),
        ("absolute tolerance", [("tol * first", "tol")]),
        ("absolute tolerance", [("np.sqrt(new) <= tol * first", "new <= tol")]),
        ("A d computed twice", [("(q @ q)", "(A(d) @ A(d))")]),
    ],
    "layer": [
        ("bias not by unit", [("D.sum(axis=1)", "D.sum() * np.ones(len(b))")]),
        ("bias not by unit", [("D.sum(axis=1)", "D.mean(axis=1)")]),
        ("bias not by unit", [(" + Vb[:, None]", "")]),
        ("bias not by unit", [("K @ Y + b[:, None]", "K @ Y")]),
        ("transpose lost", [("K.T @ D", "K @ D")]),
        ("transpose lost", [("D @ Y.T", "D @ Y")]),
        ("derivative at Z", [("(1 - Z**2)", "(1 - np.tanh(Z) ** 2)")]),
        ("derivative of tanh lost", [("(1 - Z**2) * ", "")]),
        (
            "Jacobian formed",
            [
                (
                    "    D = (1 - Z**2) * U\n",
                    "    D = (1 - Z**2) * U\n    if Z.size * K.size > 10**8:\n        raise MemoryError\n",
                )
            ],
        ),
    ],
}
