"""What pages about samples and landscapes must show, by numdl and NumPy from their definitions."""

import functools

import numpy as np

from numdl.optimize import sample_gap

SIZES = np.floor(25 * 2 ** (np.arange(15) / 2) + 0.5).astype(int)


@functools.cache
def rows(seed):
    return np.random.RandomState(seed).standard_normal((6400, 21))


@functools.cache
def unit_fits(seed, p):
    """Fits to growing samples at noise 1: errors in the unknowns, and losses of all rows."""
    A, e = rows(seed)[:, :p], rows(seed)[:, 20]
    errors = np.stack([np.linalg.lstsq(A[:n], e[:n], rcond=None)[0] for n in SIZES])
    return errors, (e - errors @ A.T) ** 2 / 2


@functools.cache
def of_twenty_draws(p, n):
    """Misfits of the sample and of all rows at noise 1, over 1/2, one row for each draw."""
    found = []
    for seed in range(1, 21):
        A, e = rows(seed)[:n, :p], rows(seed)[:n, 20]
        error = np.linalg.lstsq(A, e, rcond=None)[0]
        found.append([np.mean((e - A @ error) ** 2), 1 + error @ error])
    return np.array(found)


def samples(settings):
    v, p, n = settings["noise"] ** 2, settings["unknowns"], int(SIZES[settings["size"]])
    errors, losses = unit_fits(settings["seed"], p)
    gaps = [sample_gap(v * loss[:n], v * loss[n : 2 * n]) for n, loss in zip(SIZES, losses, strict=True)]
    seen = np.array([found.gap / found.fresh for found in gaps])
    vouched = seen + 1.6448536269514722 * np.array([found.error / found.fresh for found in gaps])
    band = np.sort(of_twenty_draws(p, 100), axis=0)
    return {
        "training": [v * np.mean(loss[:n]) for n, loss in zip(SIZES, losses, strict=True)],
        "heldOut": v / 2 * (1 + np.sum(errors**2, axis=1)),
        "gap": seen,
        "vouched": vouched,
        "mean": np.mean(of_twenty_draws(p, n)[:, 1]),
        "band": [band[2, 0], band[17, 1]],
        "stop": np.argmax(vouched < 0.15) if np.any(vouched < 0.15) else -1,
    }


REFERENCES = {"samples": samples}
