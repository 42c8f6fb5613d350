"""The scikit-learn front."""

from numdl.estimators.resnet import ResNetClassifier, ResNetRegressor

__all__ = ["ResNetClassifier", "ResNetRegressor"]
