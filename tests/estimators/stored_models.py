"""One small fitted model of every kind that `save` accepts, with the rows that it is asked about."""

import warnings

import numpy as np
from exported_models import LIGHT, data
from sklearn.datasets import load_digits

import numdl

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 2))
Y = np.sin(X[:, 0]) + 0.3 * X[:, 1] + 0.05 * RNG.normal(size=24)
LABELS = np.where(Y > 0, "up", "down")
NETWORK = {"width": 3, "depth": 2, "n_restarts": 2, "max_iter": 4, "random_state": 0}
PATCHES = {"n_filters": 8, "random_state": 0}


def digits(labels=True):
    x, y = load_digits(return_X_y=True)
    return x.reshape(-1, 8, 8)[:200], y[:200] if labels else y[:200] + 0.5


def pictures():
    return numdl.ImageClassifier(time_budget=4.0, random_state=0).fit(*digits())


TABLES = {
    "tikhonov": lambda: numdl.TikhonovRegressor(standardize=True).fit(X, Y),
    "kernel": lambda: numdl.KernelRegressor(random_state=0).fit(X, Y),
    "auto": lambda: numdl.AutoRegressor(random_state=0, time_budget=1.0).fit(X, Y),
    "classes": lambda: numdl.AutoClassifier(random_state=0, time_budget=1.0).fit(X, LABELS),
    "resnet": lambda: numdl.ResNetRegressor(**NETWORK, dynamics="plain").fit(X, Y),
    "resnet of classes": lambda: numdl.ResNetClassifier(**NETWORK).fit(X, LABELS),
    "perceptron": lambda: numdl.MLPRegressor((3, 3), n_restarts=1, max_iter=4, random_state=0).fit(X, Y),
    "perceptron of classes": lambda: numdl.MLPClassifier((3,), n_restarts=1, max_iter=4, random_state=0).fit(X, LABELS),
    "layer": lambda: numdl.SingleLayerRegressor(width=4, n_restarts=1, max_iter=4, random_state=0).fit(X, Y),
    "layer of classes": lambda: numdl.SingleLayerClassifier(width=4, n_restarts=1, max_iter=4).fit(X, LABELS),
    "features": lambda: numdl.RandomFeaturesRegressor(20, random_state=0).fit(X, Y),
    "features of classes": lambda: numdl.RandomFeaturesClassifier(20, random_state=0).fit(X, LABELS),
    "softmax": lambda: numdl.SoftmaxClassifier().fit(X, LABELS),
    "logistic": lambda: numdl.LogisticClassifier().fit(X, LABELS),
    "graph": lambda: numdl.GraphRegularizedClassifier(3).fit(X, np.where(Y > 0, 1, np.where(Y > -0.3, -1, 0))),
}
"""Of two inputs."""
IMAGES = {
    "patches": lambda: numdl.PatchFeaturesRegressor(**PATCHES).fit(*digits(labels=False)),
    "patches of classes": lambda: numdl.PatchFeaturesClassifier(**PATCHES).fit(*digits()),
    "images": pictures,
}
EXPORTED = ("anova", "legendre", "mixture", "boosted", "boosted, 3 classes", "trees", "logarithm", "nearest")
"""Of `exported_models`, of four inputs."""
NAMES = (*TABLES, *IMAGES, *EXPORTED)


def fitted(name):
    """The model of a name and five rows to ask it about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name in TABLES:
            return TABLES[name](), X[:5]
        if name in IMAGES:
            return IMAGES[name](), digits()[0][:5]
        return LIGHT[name](), data()[0][:5]
