"""The scikit-learn front."""

from numdl.estimators.classifier import ResNetClassifier
from numdl.estimators.linear_classifier import LogisticClassifier, SoftmaxClassifier
from numdl.estimators.regressor import ResNetRegressor
from numdl.estimators.tikhonov import TikhonovRegressor

__all__ = ["LogisticClassifier", "ResNetClassifier", "ResNetRegressor", "SoftmaxClassifier", "TikhonovRegressor"]
