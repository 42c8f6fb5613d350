"""Third-order Runge-Kutta scheme: what is Kutta's scheme, three stages and order three?

Source: Hairer, Norsett and Wanner, Solving ordinary differential equations I, 2nd ed., Springer 1993, sec. II.1.
"""

from numdl.flow.schemes.tableau import explicit

RK3 = explicit(3, a=[[], [0.5], [-1.0, 2.0]], b=[1 / 6, 2 / 3, 1 / 6])
