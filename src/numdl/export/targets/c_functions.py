"""Operations of programs in C: a function for each that needs a loop of its own, an expression for the others."""

from __future__ import annotations

import re

HELPERS = """
static void affine(double *out, const double *a, const double *W, const double *b, int m, int d)
{
    for (int i = 0; i < m; i++, W += d) {
        double sum = 0.0;
        for (int j = 0; j < d; j++) sum += W[j] * a[j];
        out[i] = sum + b[i];
    }
}

static void solve(double *out, const double *a, const double *L, int m) /* the triangle is stored row by row */
{
    for (int i = 0; i < m; i++) {
        double sum = a[i];
        for (int j = 0; j < i; j++) sum -= *L++ * out[j];
        out[i] = sum / *L++;
    }
}

static void distances(double *out, const double *a, const double *Z, int m, int d)
{
    for (int i = 0; i < m; i++, Z += d) {
        double sum = 0.0;
        for (int j = 0; j < d; j++) sum += (a[j] - Z[j]) * (a[j] - Z[j]);
        out[i] = sum;
    }
}

static void softmax(double *out, const double *a, int m)
{
    double largest = a[0], total = 0.0;
    for (int i = 1; i < m; i++) largest = a[i] > largest ? a[i] : largest;
    for (int i = 0; i < m; i++) total += out[i] = exp(a[i] - largest);
    for (int i = 0; i < m; i++) out[i] /= total;
}

static double sum(const double *a, int m)
{
    double total = 0.0;
    for (int i = 0; i < m; i++) total += a[i];
    return total;
}

static void trees(double *out, const double *a, const double *nodes, const double *values, const double *roots, int T,
                  int k)
{
    memset(out, 0, k * sizeof(double));
    for (int t = 0; t < T; t++) {
        int at = (int)roots[t], to;
        for (;;) {
            const double *node = nodes + 4 * at;
            to = (int)(a[(int)node[0]] <= node[1] ? node[2] : node[3]);
            if (to == at) break;
            at = to;
        }
        for (int j = 0; j < k; j++) out[j] += values[at * k + j];
    }
}

static double sigmoid(double a) { return a >= 0.0 ? 1.0 / (1.0 + exp(-a)) : exp(a) / (1.0 + exp(a)); }

static double softplus(double a) { return (a > 0.0 ? a : 0.0) + log1p(exp(-fabs(a))); }
"""

SIGNS = {"add": "{0} + {1}", "subtract": "{0} - {1}", "multiply": "{0} * {1}", "divide": "{0} / {1}"}
FORMS = SIGNS | {
    "maximum": "{0} > {1} ? {0} : {1}",
    "minimum": "{0} < {1} ? {0} : {1}",
    "square": "{0} * {0}",
    "negative": "-{0}",
    "step": "{0} > 0.0 ? 1.0 : 0.0",
}
"""Elementwise operations; others are functions of the same name."""

FUNCTIONS = {re.findall(r"(\w+)\(", text)[0]: text for text in HELPERS.strip().split("\n\n")}
"""Functions by the name of the operation; a file holds those that it needs."""
