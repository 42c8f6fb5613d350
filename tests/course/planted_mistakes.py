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
        ("a product computed again", [("(q @ q)", "(A(d) @ A(d))")]),
        ("a product computed again", [("new = s @ s", "new = At(r) @ s")]),
        ("a product computed again", [("gamma / (q @ q)", "gamma / (A(d) @ q)")]),
        ("a product computed again", [("r = r - alpha * q", "r = b - A(x)")]),
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
    "choose_alpha": [
        ("alpha against n alpha", [("alphas[:, None]", "len(A) * alphas[:, None]")]),
        ("alpha against n alpha", [("alphas[:, None]) * (U.T", "alphas[:, None] / len(A)) * (U.T")]),
        ("trace of the wrong matrix", [("(n - phi.sum", "(len(s) - phi.sum")]),
        ("trace of the wrong matrix", [("(n - phi.sum", "(n - (phi**2).sum")]),
        (
            "trace of the wrong matrix",
            [("(n - phi.sum(axis=1))", "(n - np.sum(1 / (s**2 + alphas[:, None]), axis=1))")],
        ),
        (
            "minimum at the edge of the grid",
            [("np.linalg.norm(A, 2) ** 2 * np.geomspace(1e-13, 10, 200)", "np.logspace(-3, 3, 100)")],
        ),
        (
            "minimum at the edge of the grid",
            [("np.linalg.norm(A, 2) ** 2 * np.geomspace(1e-13, 10, 200)", "np.logspace(-16, -12, 100)")],
        ),
    ],
    "varpro": [
        ("value without the penalty", [(" + alpha / 2 * w @ w", "")]),
        (
            "derivative of the head added",
            [
                (
                    "    return value, gradient",
                    "    E = 1e-5 * np.eye(2)\n"
                    "    D = [(head(theta + e, t, c, alpha) - head(theta - e, t, c, alpha)) / 2e-5 for e in E]\n"
                    "    return value, gradient + np.array(D) @ (F.T @ r) / len(t)",
                )
            ],
        ),
        ("alpha against n alpha", [("np.sqrt(n * alpha)", "np.sqrt(alpha)")]),
        ("head without the penalty", [("np.sqrt(n * alpha)", "0")]),
        ("inexact head accepted", [('        raise ValueError("w is not the minimiser")', "        pass")]),
        (
            "stopped early",
            [
                (
                    "    for _ in range(40):\n        r = projected(theta)\n",
                    "    w = head(theta, t, c, 0.0)\n    for _ in range(2):\n"
                    "        F = np.exp(-np.outer(t, theta))\n        J = np.hstack([-t[:, None] * F * w, F])\n"
                    "        step = np.linalg.lstsq(J, c - F @ w, rcond=None)[0]\n"
                    "        theta, w = theta + step[:2], w + step[2:]\n"
                    "    for _ in range(0):\n        r = projected(theta)\n",
                )
            ],
        ),
    ],
    "sgd": [
        ("index ignored", [("slopes(p, rows)", "slopes(p, np.arange(n))")]),
        ("remainder dropped", [("range(0, n, batch)", "range(0, n - batch + 1, batch)")]),
        ("sum instead of mean", [(".mean(axis=0)", ".sum(axis=0)")]),
        ("last piece divided by the full batch", [(".mean(axis=0)", ".sum(axis=0) / batch")]),
        (
            "one order for all epochs",
            [("        places = order()\n", ""), ("    found = [p]\n", "    found = [p]\n    places = order()\n")],
        ),
        ("rate times 1 - momentum", [("- rate * g", "- (1 - momentum) * rate * g")]),
        (
            "velocity forgotten at each epoch",
            [("        places = order()\n", "        places = order()\n        v = 0 * v\n")],
        ),
    ],
    "sweeps": [
        ("sign of the adjoint", [("(rho * v - p)", "(rho * v + p)")]),
        ("hold in the wrong term", [(" / (1 + rho)", "")]),
        ("hold in the wrong term", [("(rho * v - p)", "(-p)")]),
        ("slope before the layer", [("    p[-1] = last\n", "    p[-1] = (1 + h * a) * last\n")]),
        ("h counted twice", [("(rho * v - p)", "(rho * v - h * p)")]),
        ("h counted twice", [("    return np.array(v)", "    return np.array(v) / h")]),
        ("slope carried back unchanged", [("(1 + h * a) * p[k]", "p[k]")]),
    ],
    "newton": [
        ("simple decrease only", [("start + c * t * slope and", "start and")]),
        ("step not reset", [("-g, c, 1.0)", "-g, c, t)")]),
        ("exact inner solves", [("-g, forcing)", "-g, 1e-11)")]),
        (
            "exact inner solves",
            [
                (
                    "cg(lambda v, p=p: product(p, v), -g, forcing)",
                    "np.linalg.solve(np.array([product(p, e) for e in np.eye(len(p))]), -g)",
                )
            ],
        ),
        ("no gradient stop", [("np.linalg.norm(g) <= tol:", "False:")]),
        ("uphill", [("p, g, -g, c, 1.0)", "p, g, g, c, 1.0)"), ("p = p - t * g", "p = p + t * g")]),
    ],
    "antisymmetric": [
        ("each pair of weights twice", [("h * (G - G.T)[UPPER]", "2 * h * (G - G.T)[UPPER]")]),
        ("each pair of weights twice", [("h * (G - G.T)[UPPER]", "h * ((G - G.T) / 2)[UPPER]")]),
        ("h missing in the gradient", [("h * (G - G.T)", "(G - G.T)"), ("GB[k] = h * d", "GB[k] = d")]),
        ("adjoint marched with new states", [("antisymmetric(W[k]), states[k]", "antisymmetric(W[k]), states[k + 1]")]),
        ("transpose lost", [("h * A.T @ d", "h * A @ d")]),
        ("symmetric instead of antisymmetric", [("return A - A.T", "return A + A.T"), ("(G - G.T)", "(G + G.T)")]),
        ("stages weighted wrongly", [("h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)", "h / 4 * (k1 + k2 + k3 + k4)")]),
        ("stages weighted wrongly", [("h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)", "h * k1")]),
    ],
    "parareal": [
        ("coarse correction with old states", [("F[k] + coarse(U[k], k) - C[k]", "F[k]")]),
        ("cycle counted twice", [("cycles * (m + K)", "2 * cycles * (m + K)")]),
        (
            "cycle counted twice",
            [
                ("for _ in range(cycles):", "for cycle in range(2 * cycles):"),
                ("        found.append(U.copy())", "        if cycle % 2:\n            found.append(U.copy())"),
            ],
        ),
        (
            "fine marches from new states",
            [
                ("        F = [fine(U[k], k) for k in range(K)]\n", ""),
                ("F[k] + coarse(U[k], k) - C[k]", "fine(U[k], k)"),
            ],
        ),
        ("fine marches from new states", [("(m + K)", "(K * m + K)")]),
        ("coarse steps not counted", [("K + cycles * (m + K)", "K + cycles * m")]),
        ("coarse steps not counted", [("K + cycles * (m + K)", "cycles * (m + K)")]),
    ],
    "convolution": [
        (
            "correlation for convolution",
            [("theta[0] * p[2:] + theta[1] * p[1:-1] + theta[2] * p[:-2]", "np.correlate(p, theta, 'valid')")],
        ),
        (
            "correlation for convolution",
            [("[u @ p[2:], u @ p[1:-1], u @ p[:-2]]", "[u @ p[:-2], u @ p[1:-1], u @ p[2:]]")],
        ),
        ("border wrapped around", [("np.pad(y, 1)", 'np.pad(y, 1, mode="wrap")'), ('"symmetric"', '"wrap"')]),
        ("conjugate lost", [("border).T @ u", "border) @ u")]),
        ("conjugate lost", [("theta[1], theta[2], theta[0]", "theta[1], theta[0], theta[2]")]),
    ],
    "graph": [
        ("factor 2", [(" / 2\n\n\ndef parts", "\n\n\ndef parts")]),
        ("not symmetrised", [("return np.maximum(W, W.T)", "return W")]),
        ("only mutual neighbours", [("np.maximum(W, W.T)", "np.minimum(W, W.T)")]),
        ("edges counted instead of weights", [("np.diag(W.sum(axis=1))", "np.diag((W > 0).sum(axis=1))")]),
        ("first eigenvector", [("[1][:, 1]", "[1][:, 0]")]),
        (
            "labels not held",
            [
                ("    f[rows] = values\n", "    f[rows] = 1\n"),
                (
                    "    f[free] = np",
                    "    return np.linalg.solve(L + np.diag(f), np.bincount(rows, values, len(W)))\n    f[free] = np",
                ),
            ],
        ),
    ],
}
