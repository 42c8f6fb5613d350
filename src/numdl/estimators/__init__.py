"""The scikit-learn front."""

from numdl.estimators.classifier import ResNetClassifier
from numdl.estimators.regressor import ResNetRegressor

__all__ = ["ResNetClassifier", "ResNetRegressor"]
