"""scikit-learn's own checks of the estimators of networks."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from numdl import (
    MLPClassifier,
    MLPRegressor,
    ResNetClassifier,
    ResNetRegressor,
    SingleLayerClassifier,
    SingleLayerRegressor,
)

FAST = {"max_iter": 10, "n_restarts": 1, "random_state": 0}
SMALL = {"width": 4, "depth": 1, "dynamics": "plain"} | FAST
OTHERS = [MLPRegressor((4, 3), **FAST), SingleLayerClassifier(4, **FAST)]
TWINS = [MLPClassifier((4, 3), **FAST), SingleLayerRegressor(4, **FAST)]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([ResNetRegressor(**SMALL), ResNetClassifier(**SMALL)])
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(OTHERS)
def test_scikit_learn_of_other_families(estimator, check):
    check(estimator)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(TWINS)
def test_scikit_learn_of_their_twins(estimator, check):
    check(estimator)
