"""The scikit-learn front."""

from numdl.estimators.classifier import ResNetClassifier
from numdl.estimators.regressor import ResNetRegressor
from numdl.estimators.tikhonov import TikhonovRegressor

__all__ = ["ResNetClassifier", "ResNetRegressor", "TikhonovRegressor"]
