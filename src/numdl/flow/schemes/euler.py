"""Forward Euler scheme: what is the step of a classical residual network, ``u + h f(t, u, theta(t))``?

Source: Hairer, Norsett and Wanner, Solving ordinary differential equations I, 2nd ed., Springer 1993, sec. I.7.
"""

from numdl.flow.schemes.tableau import explicit

EULER = explicit(1, a=[[]], b=[1.0])
