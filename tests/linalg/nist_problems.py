"""Linear least-squares problems with certified answers, typed in from the Statistical Reference Datasets of NIST.

https://www.itl.nist.gov/div898/strd/lls/lls.shtml: data, coefficients and residual standard deviations to 15 digits,
computed there with 500 digits. `exact` repeats that in rational numbers, from the data as printed or as stored.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np


class Certified(NamedTuple):
    """A problem: columns as text keep every printed digit; ``degree`` is that of a polynomial in the only column."""

    x: list[list[str]]
    y: list[str]
    degree: int
    intercept: bool
    coefficients: list[float]
    deviation: float

    def rational(self):
        """The design matrix and targets as they are printed, without rounding."""
        rows = []
        for row in self.x:
            values = [Fraction(v) for v in row]
            powers = [values[0] ** k for k in range(1, self.degree + 1)] if self.degree else values
            rows.append([Fraction(1)] * self.intercept + powers)
        return rows, [Fraction(v) for v in self.y]

    def stored(self):
        """The same rounded once to float64: A (n, p), b (n, 1)."""
        rows, y = self.rational()
        return np.array([[float(v) for v in row] for row in rows]), np.array([[float(v)] for v in y])


def exact(rows, y):
    """Least squares in rational numbers: coefficients, and the sum of squared residuals."""
    p = len(rows[0])
    system = [[sum(r[i] * r[j] for r in rows) for j in range(p)] for i in range(p)]
    for i in range(p):
        system[i].append(sum(r[i] * v for r, v in zip(rows, y, strict=True)))
    for i in range(p):
        pivot = next(j for j in range(i, p) if system[j][i])
        system[i], system[pivot] = system[pivot], system[i]
        system[i] = [v / system[i][i] for v in system[i]]
        for j in range(p):
            if j != i:
                system[j] = [v - system[j][i] * u for v, u in zip(system[j], system[i], strict=True)]
    x = [row[p] for row in system]
    misfits = (v - sum(a * c for a, c in zip(r, x, strict=True)) for r, v in zip(rows, y, strict=True))
    return x, sum(m**2 for m in misfits)


def exact_standard_errors(rows, y):
    """Those of the coefficients: a column has ``1 / (A'A)^-1_jj`` as what the other columns leave of its square."""
    n, p = len(rows), len(rows[0])
    variance = exact(rows, y)[1] / (n - p)
    if p == 1:
        return [float(variance / sum(row[0] ** 2 for row in rows)) ** 0.5]
    left = [exact([row[:j] + row[j + 1 :] for row in rows], [row[j] for row in rows])[1] for j in range(p)]
    return [float(variance / square) ** 0.5 for square in left]


def _pairs(text):
    """Rows of ``y x ...`` as targets and columns."""
    rows = [line.split() for line in text.strip().split(";")]
    return [row[1:] for row in rows], [row[0] for row in rows]


def _polynomial(text, degree, coefficients, deviation):
    x, y = _pairs(text)
    return Certified(x, y, degree, True, coefficients, deviation)


def _wampler(coefficient, disturbed, deviation):
    """Fifth degree at 0, ..., 20 with coefficients ``coefficient ** k``, disturbed by what a fit cannot see."""
    half = [759, -2048, 2048, -2048, 2523, -2048, 2048, -2048, 1838, -2048]
    disturbance = [*half, 2048, *half[::-1]]
    y = [sum(Fraction(coefficient) ** k * x**k for k in range(6)) + disturbed * d for x, d in enumerate(disturbance)]
    powers = [float(Fraction(coefficient) ** k) for k in range(6)]
    return Certified([[str(x)] for x in range(21)], [str(v) for v in y], 5, True, powers, deviation)


FILIP = """
0.8116 -6.860120914; 0.9072 -4.324130045; 0.9052 -4.358625055; 0.9039 -4.358426747; 0.8053 -6.955852379; 0.8377
-6.661145254; 0.8667 -6.355462942; 0.8809 -6.118102026; 0.7975 -7.115148017; 0.8162 -6.815308569; 0.8515
-6.519993057; 0.8766 -6.204119983; 0.8885 -5.853871964; 0.8859 -6.109523091; 0.8959 -5.79832982; 0.8913
-5.482672118; 0.8959 -5.171791386; 0.8971 -4.851705903; 0.9021 -4.517126416; 0.909 -4.143573228; 0.9139
-3.709075441; 0.9199 -3.499489089; 0.8692 -6.300769497; 0.8872 -5.953504836; 0.89 -5.642065153; 0.891 -5.031376979;
0.8977 -4.680685696; 0.9035 -4.329846955; 0.9078 -3.928486195; 0.7675 -8.56735134; 0.7705 -8.363211311; 0.7713
-8.107682739; 0.7736 -7.823908741; 0.7775 -7.522878745; 0.7841 -7.218819279; 0.7971 -6.920818754; 0.8329
-6.628932138; 0.8641 -6.323946875; 0.8804 -5.991399828; 0.7668 -8.781464495; 0.7633 -8.663140179; 0.7678
-8.473531488; 0.7697 -8.247337057; 0.77 -7.971428747; 0.7749 -7.676129393; 0.7796 -7.352812702; 0.7897 -7.072065318;
0.8131 -6.774174009; 0.8498 -6.478861916; 0.8741 -6.159517513; 0.8061 -6.835647144; 0.846 -6.53165267; 0.8751
-6.224098421; 0.8856 -5.910094889; 0.8919 -5.598599459; 0.8934 -5.290645224; 0.894 -4.974284616; 0.8957 -4.64454848;
0.9047 -4.290560426; 0.9129 -3.885055584; 0.9209 -3.408378962; 0.9219 -3.13200249; 0.7739 -8.726767166; 0.7681
-8.66695597; 0.7665 -8.511026475; 0.7703 -8.165388579; 0.7702 -7.886056648; 0.7761 -7.588043762; 0.7809
-7.283412422; 0.7961 -6.995678626; 0.8253 -6.691862621; 0.8602 -6.392544977; 0.8809 -6.067374056; 0.8301
-6.684029655; 0.8664 -6.378719832; 0.8834 -6.065855188; 0.8898 -5.752272167; 0.8964 -5.132414673; 0.8963
-4.811352704; 0.9074 -4.098269308; 0.9119 -3.66174277; 0.9228 -3.2644011
"""

NORRIS = """
0.1 0.2; 338.8 337.4; 118.1 118.2; 888 884.6; 9.2 10.1; 228.1 226.5; 668.5 666.3; 998.5 996.3; 449.1 448.6; 778.9
777; 559.2 558.2; 0.3 0.4; 0.1 0.6; 778.1 775.5; 668.8 666.9; 339.3 338; 448.9 447.5; 10.8 11.6; 557.7 556; 228.3
228.1; 998 995.8; 888.8 887.6; 119.6 120.2; 0.3 0.3; 0.6 0.3; 557.6 556.8; 339.3 339.1; 888 887.2; 998.5 999; 778.9
779; 10.2 11.1; 117.6 118.3; 228.9 229.2; 668.4 669.1; 449.2 448.9; 0.2 0.5
"""

PONTIUS = """
0.11019 150000; 0.21956 300000; 0.32949 450000; 0.43899 600000; 0.54803 750000; 0.65694 900000; 0.76562 1050000;
0.87487 1200000; 0.98292 1350000; 1.09146 1500000; 1.20001 1650000; 1.30822 1800000; 1.41599 1950000; 1.52399
2100000; 1.63194 2250000; 1.73947 2400000; 1.84646 2550000; 1.95392 2700000; 2.06128 2850000; 2.16844 3000000;
0.11052 150000; 0.22018 300000; 0.32939 450000; 0.43886 600000; 0.54798 750000; 0.65739 900000; 0.76596 1050000;
0.87474 1200000; 0.983 1350000; 1.0915 1500000; 1.20004 1650000; 1.30818 1800000; 1.41613 1950000; 1.52408 2100000;
1.63159 2250000; 1.73965 2400000; 1.84696 2550000; 1.95445 2700000; 2.06177 2850000; 2.16829 3000000
"""

LONGLEY = """
60323 83 234289 2356 1590 107608 1947; 61122 88.5 259426 2325 1456 108632 1948; 60171 88.2 258054 3682 1616 109773
1949; 61187 89.5 284599 3351 1650 110929 1950; 63221 96.2 328975 2099 3099 112075 1951; 63639 98.1 346999 1932 3594
113270 1952; 64989 99 365385 1870 3547 115094 1953; 63761 100 363112 3578 3350 116219 1954; 66019 101.2 397469 2904
3048 117388 1955; 67857 104.6 419180 2822 2857 118734 1956; 68169 108.4 442769 2936 2798 120445 1957; 66513 110.8
444546 4681 2637 121950 1958; 68655 112.6 482704 3813 2552 123366 1959; 69564 114.2 502601 3931 2514 125368 1960;
69331 115.7 518173 4806 2572 127852 1961; 70551 116.9 554894 4007 2827 130081 1962
"""

PROBLEMS = {
    "Norris": _polynomial(NORRIS, 1, [-0.262323073774029, 1.00211681802045], 0.884796396144373),
    "Pontius": _polynomial(
        PONTIUS,
        2,
        [0.673565789473684e-03, 0.732059160401003e-06, -0.316081871345029e-14],
        0.205177424076185e-03,
    ),
    "NoInt1": Certified(
        [[str(x)] for x in range(60, 71)],
        [str(y) for y in range(130, 141)],
        0,
        False,
        [2.07438016528926],
        3.56753034006338,
    ),
    "NoInt2": Certified([["4"], ["5"], ["6"]], ["3", "4", "4"], 0, False, [0.727272727272727], 0.369274472937998),
    "Filip": _polynomial(
        FILIP,
        10,
        [
            -1467.48961422980,
            -2772.17959193342,
            -2316.37108160893,
            -1127.97394098372,
            -354.478233703349,
            -75.1242017393757,
            -10.8753180355343,
            -1.06221498588947,
            -0.670191154593408e-01,
            -0.246781078275479e-02,
            -0.402962525080404e-04,
        ],
        0.334801051324544e-02,
    ),
    "Longley": Certified(
        *_pairs(LONGLEY),
        0,
        True,
        [
            -3482258.63459582,
            15.0618722713733,
            -0.358191792925910e-01,
            -2.02022980381683,
            -1.03322686717359,
            -0.511041056535807e-01,
            1829.15146461355,
        ],
        304.854073561965,
    ),
    "Wampler1": _wampler("1", 0, 0.0),
    "Wampler2": _wampler("0.1", 0, 0.0),
    "Wampler3": _wampler("1", 1, 2360.14502379268),
    "Wampler4": _wampler("1", 100, 236014.502379268),
    "Wampler5": _wampler("1", 10000, 23601450.2379268),
}
