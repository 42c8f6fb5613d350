"""Which parameters does a model have, and how does it map one sample to features?"""

from numdl.models.resnet import ResNet

__all__ = ["ResNet"]
