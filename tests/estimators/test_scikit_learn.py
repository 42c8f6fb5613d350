"""scikit-learn's own checks of both estimators."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from numdl import ResNetClassifier, ResNetRegressor

SMALL = {"width": 4, "depth": 1, "dynamics": "plain", "max_iter": 10, "n_restarts": 1, "random_state": 0}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([ResNetRegressor(**SMALL), ResNetClassifier(**SMALL)])
def test_scikit_learn(estimator, check):
    check(estimator)
