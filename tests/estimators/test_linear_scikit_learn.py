"""scikit-learn's own checks of the linear classifiers."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from numdl import LogisticClassifier, SoftmaxClassifier


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [
        SoftmaxClassifier(),
        LogisticClassifier(),
        SoftmaxClassifier(alpha=1e-2, solver="newton-cg", standardize=False),
    ]
)
def test_scikit_learn(estimator, check):
    check(estimator)
