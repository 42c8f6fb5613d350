"""How little must a sample change to change its class: one file for each search."""

from numdl.analysis.adversarial.certified import certified_radius
from numdl.analysis.adversarial.common import Attack, attack
from numdl.analysis.adversarial.gradient import GradientSearch
from numdl.analysis.adversarial.linearised import LinearisedSearch
from numdl.analysis.adversarial.projected import ProjectedSearch

__all__ = ["Attack", "GradientSearch", "LinearisedSearch", "ProjectedSearch", "attack", "certified_radius"]
