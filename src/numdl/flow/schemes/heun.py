"""Heun's scheme: what is the explicit trapezoidal rule: average the slope here and the slope where Euler would land?

Source: Hairer, Norsett and Wanner, Solving ordinary differential equations I, 2nd ed., Springer 1993, sec. II.1.
"""

from numdl.flow.schemes.tableau import explicit

HEUN = explicit(2, a=[[], [1.0]], b=[0.5, 0.5])
