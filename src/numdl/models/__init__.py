"""Models: feature maps with weights. Which parameters does a model have, and how does it map one sample to features?"""

from numdl.models.chain import Chain
from numdl.models.connector import Connector
from numdl.models.image_resnet import image_resnet
from numdl.models.levels import coarsened, prolonged, refined
from numdl.models.lipschitz import lipschitz_bound
from numdl.models.mlp import MLP
from numdl.models.network import Network
from numdl.models.overflow import first_overflow
from numdl.models.random_features import RandomFeatures, RandomWeights
from numdl.models.rescaled import rescaled, stencil_roughness
from numdl.models.resnet import ResNet
from numdl.models.settled import batch_with_statistics, running_statistics, without_batch_norm

__all__ = [
    "MLP",
    "Chain",
    "Connector",
    "Network",
    "RandomFeatures",
    "RandomWeights",
    "ResNet",
    "batch_with_statistics",
    "coarsened",
    "first_overflow",
    "image_resnet",
    "lipschitz_bound",
    "prolonged",
    "refined",
    "rescaled",
    "running_statistics",
    "stencil_roughness",
    "without_batch_norm",
]
