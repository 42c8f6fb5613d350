"""Fourth-order Runge-Kutta scheme: what is the classical scheme of Runge and Kutta, four stages and order four?

Source: Hairer, Norsett and Wanner, Solving ordinary differential equations I, 2nd ed., Springer 1993, table II.1.2.
"""

from numdl.flow.schemes.tableau import explicit

RK4 = explicit(4, a=[[], [0.5], [0.0, 0.5], [0.0, 0.0, 1.0]], b=[1 / 6, 1 / 3, 1 / 3, 1 / 6])
