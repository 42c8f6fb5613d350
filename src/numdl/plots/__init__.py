"""Figures of fits, criteria for alpha, landscapes and stability, each a function that draws on the axes it is given.

Matplotlib is loaded by the first figure.
"""

from numdl.plots.fit import (
    draw_calibration,
    draw_class_errors,
    draw_confusion,
    draw_histogram,
    draw_parity,
    draw_reliability,
    draw_residuals,
)
from numdl.plots.inputs import draw_importance, draw_over_input, draw_response
from numdl.plots.landscape import draw_cut, draw_density, draw_plane
from numdl.plots.pictures import draw_pictures
from numdl.plots.selection import draw_criteria, draw_error, draw_l_curve, draw_picard
from numdl.plots.stability import draw_certified, draw_changes, draw_layers, draw_region
from numdl.plots.training import draw_effective, draw_heat_map, draw_history, draw_over_depth

__all__ = [
    "draw_calibration",
    "draw_certified",
    "draw_changes",
    "draw_class_errors",
    "draw_confusion",
    "draw_criteria",
    "draw_cut",
    "draw_density",
    "draw_effective",
    "draw_error",
    "draw_heat_map",
    "draw_histogram",
    "draw_history",
    "draw_importance",
    "draw_l_curve",
    "draw_layers",
    "draw_over_depth",
    "draw_over_input",
    "draw_parity",
    "draw_picard",
    "draw_pictures",
    "draw_plane",
    "draw_region",
    "draw_reliability",
    "draw_residuals",
    "draw_response",
]
