"""scikit-learn's own checks of the linear classifiers."""

import pytest
from scikit_learn_checks import parametrize_with_quick_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from numdl import LogisticClassifier, SoftmaxClassifier


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# Two fits to the default tolerance agree to the seven digits of the check of weights only by the order of rounding.
@parametrize_with_checks([SoftmaxClassifier(tol=1e-11)])
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_quick_checks(
    [LogisticClassifier(), SoftmaxClassifier(alpha=1e-2, solver="newton-cg", standardize=False)]
)
def test_scikit_learn_of_estimators_alike(estimator, check):
    check(estimator)
