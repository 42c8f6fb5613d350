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

static void local(double *out, const double *a, const double *X, const double *y, const double *e, const double *scale,
                  const double *set, int n, int d)
{
    const int m = (int)set[0];
    const double signal = set[1], linear = set[2];
    int near[LOCAL_MOST], found = 0;
    double far[LOCAL_MOST], L[LOCAL_MOST * (LOCAL_MOST + 1) / 2], u[LOCAL_MOST], v[LOCAL_MOST];
    double mean = 0.0, left = 1.0 + signal;
    for (int r = 0; r < n; r++) { /* the m nearest rows, the nearest first */
        double q = 0.0;
        int at = found;
        for (int j = 0; j < d; j++) q += (a[j] - X[r * d + j]) * scale[j] * ((a[j] - X[r * d + j]) * scale[j]);
        if (found == m && q >= far[m - 1]) continue;
        if (found == m) at--; else found++;
        for (; at > 0 && far[at - 1] > q; at--) { far[at] = far[at - 1]; near[at] = near[at - 1]; }
        far[at] = q;
        near[at] = r;
    }
    for (int j = 0; j < d; j++) left += linear * a[j] * a[j];
    for (int i = 0; i < m; i++) { /* L L' = C, L u = k, L v = y */
        double *Li = L + i * (i + 1) / 2;
        for (int h = 0; h <= i; h++) {
            const double *P = X + near[i] * d, *Q = X + near[h] * d, *Lh = L + h * (h + 1) / 2;
            double q = 0.0, sum = 1.0;
            for (int j = 0; j < d; j++) {
                q += (P[j] - Q[j]) * scale[j] * ((P[j] - Q[j]) * scale[j]);
                sum += linear * P[j] * Q[j];
            }
            sum += signal * profile(q, set) + (h == i ? e[near[i]] : 0.0);
            for (int l = 0; l < h; l++) sum -= Li[l] * Lh[l];
            Li[h] = h < i ? sum / Lh[h] : sqrt(sum);
        }
        u[i] = 1.0 + signal * profile(far[i], set);
        v[i] = y[near[i]];
        for (int j = 0; j < d; j++) u[i] += linear * X[near[i] * d + j] * a[j];
        for (int l = 0; l < i; l++) { u[i] -= Li[l] * u[l]; v[i] -= Li[l] * v[l]; }
        u[i] /= Li[i];
        v[i] /= Li[i];
        mean += u[i] * v[i];
        left -= u[i] * u[i];
    }
    out[0] = mean;
    out[1] = left < 0.0 ? 0.0 : left;
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

PROFILE = """
static double profile(double q, const double *set) /* a kernel of a squared distance */
{
    double s = set[3] * q;
    if (set[4] > 0.0) s = sqrt(s > 1e-30 ? s : 1e-30);
    return (1.0 + s * (set[5] + set[6] * s)) * exp(-s);
}

"""

FUNCTIONS = {re.findall(r"(\w+)\(", text)[0]: text for text in HELPERS.strip().split("\n\n")}
FUNCTIONS["local"] = PROFILE.lstrip() + FUNCTIONS["local"]
"""Functions by the name of the operation; a file holds those that it needs."""
