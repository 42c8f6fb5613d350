"""scikit-learn's own checks of the estimators of networks."""

import pytest
from scikit_learn_checks import AGAIN, TRAIN, parametrize_with_quick_checks
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
WHOLE = [ResNetRegressor(**SMALL)]
CLASSIFIER = [SingleLayerClassifier(4, **FAST)]
ALIKE = [MLPRegressor((4, 3), **FAST)]
THIRD = [ResNetClassifier(**SMALL), MLPClassifier((4, 3), **FAST), SingleLayerRegressor(4, **FAST)]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(WHOLE)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_quick_checks(CLASSIFIER, also=("check_classifiers_train",))
def test_scikit_learn_of_a_classifier(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_quick_checks(ALIKE)
def test_scikit_learn_of_estimators_alike(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_quick_checks(THIRD, but=TRAIN | AGAIN)
def test_scikit_learn_of_estimators_of_both_kinds(estimator, check):
    check(estimator)
