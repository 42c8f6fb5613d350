"""Which parameters does a model have, and how does it map one sample to features?"""

from numdl.models.random_features import RandomFeatures, RandomWeights
from numdl.models.resnet import ResNet

__all__ = ["RandomFeatures", "RandomWeights", "ResNet"]
