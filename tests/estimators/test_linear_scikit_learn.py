"""scikit-learn's own checks of the linear classifiers."""

import pytest
from scikit_learn_checks import AGAIN, TRAIN, parametrize_with_quick_checks

from numdl import LogisticClassifier, SoftmaxClassifier

OF_CLASSES = (
    "check_classifiers_classes",
    "check_classifiers_train",
    "check_decision_proba_consistency",
    "check_sample_weight_equivalence_on_dense_data",
)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# Two fits to the default tolerance agree to the seven digits of the check of weights only by the order of rounding.
@parametrize_with_quick_checks([SoftmaxClassifier(tol=1e-11)], also=OF_CLASSES)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_quick_checks([LogisticClassifier()])
def test_scikit_learn_of_two_classes(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_quick_checks(
    [SoftmaxClassifier(alpha=1e-2, solver="newton-cg", standardize=False)], but=TRAIN | AGAIN
)
def test_scikit_learn_of_another_solver(estimator, check):
    check(estimator)
