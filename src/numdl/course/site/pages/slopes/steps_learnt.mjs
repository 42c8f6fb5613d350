// 3.7: has it learnt the equation, or the steps?
import { marched_data } from "../../data/marched_data.mjs";
import { dot, range, sum } from "../../lib/numerics.mjs";
import { counted, say } from "../../lib/plot.mjs";
import { ORDER, STEP } from "../../lib/schemes.mjs";

// Residual networks of 6 units on [0, 8], weights constant on each of the layers that they were trained with.
const DATA = marched_data, STAGES = ORDER, NAMES = { euler: "Euler", heun: "Heun", rk4: "RK4" }, COLOR = { euler: "orange", heun: "blue", rk4: "purple" };
const NETS = Object.keys(DATA.nets).map((name) => { const [scheme, depth] = name.split(" "); return [name, `${depth} steps by ${NAMES[scheme]}`]; });
const TARGET = DATA.cTest.map((c) => (c[0] ? 1 : -1)), FACTORS = [1, 2, 4, 8];

// Score of one point: `parts` steps by a scheme for each layer.
function score(net, scheme, parts, [x, y]) {
  const n = net.b0.length, h = DATA.T / net.K.length / parts;
  let u = net.K0.map((row, i) => Math.tanh(row[0] * x + row[1] * y + net.b0[i]));
  net.K.forEach((K, layer) => {
    const rate = (t, v) => K.map((row, i) => Math.tanh(net.b[layer][i] + dot(row, v)));
    for (let k = 0; k < parts; k++) u = STEP[scheme](rate, 0, u, h);
  });
  return u.reduce((s, v, i) => s + net.W[0][i] * v, net.W[0][n]);
}
const kept = new Map();
function remember(key, make) { if (!kept.has(key)) kept.set(key, make()); return kept.get(key); }
// All marches of one network: held-out scores, wrong points in percent, mean logistic misfit.
const marches = (name) => remember(name, () => Object.fromEntries(Object.keys(STAGES).map((scheme) => [scheme, FACTORS.map((parts) => {
  const net = DATA.nets[name], scores = DATA.xTest.map((x) => score(net, scheme, parts, x)), m = scores.map((s, i) => s * TARGET[i]);
  return { scores, error: (100 * m.filter((t) => t <= 0).length) / m.length, misfit: sum(m.map((t) => Math.max(-t, 0) + Math.log1p(Math.exp(-Math.abs(t))))) / m.length, cost: parts * net.K.length * STAGES[scheme] };
})])));
function compute({ net, scheme, finer }) {
  const all = marches(net), [trained, depth] = net.split(" "), own = all[trained][0], now = all[scheme][finer], fine = all.rk4[3];
  const change = FACTORS.slice(1).map((_, k) => all[trained][k + 1].misfit - all[trained][k].misfit);
  return { all, trained, depth: Number(depth), own, now, change, agree: own.scores.filter((s, i) => s * fine.scores[i] > 0).length / own.scores.length, steps: Number(depth) * FACTORS[finer] };
}
const CELLS = 34;

export const page = {
  id: "3.7",
  question: "Has it learnt the equation, or the steps?",
  goal: "You will test by marching the same weights with other steps whether a network stands for a differential equation, and choose a scheme for evaluation.",
  minutes: 15,
  needs: "page 3.1",
  controls: {
    net: { kind: "choice", label: "trained with", options: NETS, value: "euler 8" },
    scheme: { kind: "choice", label: "marched by", options: Object.entries(NAMES), value: "euler" },
    finer: { kind: "slider", label: "steps for each layer", min: 0, max: 3, step: 1, value: 0, play: 900, show: (k) => counted(FACTORS[k], "step") },
  },
  hidden: {},
  guess: {
    ask: "A residual network of 8 layers puts 7 of 100 new points wrong. Each layer is one Euler step for a differential equation. You follow that equation more accurately, with eight steps for each layer and the same weights. How many points are wrong now?",
    options: ["fewer: the solution is better", "as many", "about a third of all"], answer: 2, see: { finer: 3 },
    why: "Training fitted the outcome of these eight steps, errors of the steps included. The differential equation was never asked for anything.",
  },
  sentence: [
    "Take the network trained with [[net]], and march the same weights by [[scheme]] with [[finer]] for each layer, {{steps}} in all. It puts {{error}} % of 128 new points wrong, and with the steps it was trained with {{own}} %. This march evaluates layers {{cost}} times.",
  ],
  breaks: [
    { label: "More accurate, and wrong", patch: { net: "euler 8", scheme: "rk4", finer: 3 }, why: "The differential equation is now followed accurately, and it does not separate the spirals. What does is the eight steps." },
    { label: "Heun had learnt steps too", patch: { net: "heun 8", scheme: "rk4", finer: 3 }, why: "A higher order is no protection: with $h=1$ Heun's errors were large enough to be made use of, and the misfit of training was the smallest of all. With 16 layers nine answers in ten stay." },
    { label: "One that travels", patch: { net: "rk4 8", scheme: "heun", finer: 1 }, why: "RK4's steps left little to exploit. The weights can be marched by another scheme, if its own errors are small enough." },
  ],
  compute,
  values: (n) => ({ steps: String(n.steps), error: say(n.now.error), own: say(n.own.error), cost: String(n.now.cost) }),
  views: [
    {
      frame: () => ({ title: "What the march calls class 1", equal: true, height: 400, x: { min: -2, max: 2, label: "x₁" }, y: { min: -2, max: 2, label: "x₂" } }),
      draw(plot, n, s) {
        const known = remember(`${s.net} ${s.scheme} ${s.finer}`, () => new Map()), net = DATA.nets[s.net];
        const value = (x, y) => { const key = `${x} ${y}`; if (!known.has(key)) known.set(key, -score(net, s.scheme, FACTORS[s.finer], [x, y])); return known.get(key); };
        plot.region(value, { color: "blue", cells: CELLS, label: "called class 1" });
        for (const [sign, color, label] of [[1, "blue", "class 1"], [-1, "orange", "class 2"]]) {
          const own = DATA.xTest.filter((_, i) => TARGET[i] === sign);
          plot.dots(own.map((p) => p[0]), own.map((p) => p[1]), { color, size: 2.4, label });
        }
        const wrong = DATA.xTest.filter((_, i) => n.now.scores[i] * TARGET[i] <= 0);
        if (wrong.length) plot.dots(wrong.map((p) => p[0]), wrong.map((p) => p[1]), { color: "red", shape: "ring", size: 5, label: "put wrong" });
      },
    },
    {
      frame: () => ({ title: "The same weights by all marches", height: 400, x: { min: 6, max: 700, log: true, ticks: [8, 16, 32, 64, 128, 256, 512], label: "evaluations of a layer for one point" }, y: { min: 0, max: 60, label: "new points put wrong, %" } }),
      draw(plot, n, s, { ghost }) {
        plot.across(n.own.error, { label: "as it was trained" });
        if (ghost && ghost.settings.net !== s.net) for (const [scheme, list] of Object.entries(ghost.numbers.all)) plot.line(list.map((one) => one.cost), list.map((one) => one.error), { color: COLOR[scheme], faint: true, width: 1.2 });
        for (const [scheme, list] of Object.entries(n.all)) {
          plot.line(list.map((one) => one.cost), list.map((one) => one.error), { color: COLOR[scheme], width: 1.6 });
          plot.dots(list.map((one) => one.cost), list.map((one) => one.error), { color: COLOR[scheme], size: 3.4, label: NAMES[scheme] });
        }
        plot.dots([n.own.cost], [n.own.error], { color: "green", shape: "diamond", size: 5, label: "the march of training" });
        plot.dots([n.now.cost], [n.now.error], { color: "ink", shape: "ring", size: 7.5, label: "now" });
      },
    },
  ],
  table: (n) => ({ head: ["scheme", "steps", "evaluations", "wrong, %", "misfit"], rows: Object.entries(n.all).flatMap(([scheme, list]) => list.map((one, k) => [NAMES[scheme], n.depth * FACTORS[k], one.cost, say(one.error), say(one.misfit)])) }),
  claims: (n) => [
    { sentence: "This march loses less than 1 % of the points.", holds: n.now.error < n.own.error + 1, found: `${say(n.now.error)} % are wrong; they were ${say(n.own.error)} % with the steps of training.`, why: n.agree > 0.98 ? "The weights stand for a differential equation, and these steps are too long to follow it." : "The weights were fitted to the errors of other steps. This march makes other errors, or hardly any." },
    { sentence: "Twice as many steps of the same scheme change the misfit by less than 0.05.", holds: Math.abs(n.change[0]) < 0.05, found: `$J_{2n_t} - J_{n_t}$ is ${say(n.change[0])}, and the next doubling changes it by ${say(n.change[1])}.`, why: "The errors of the steps are a part of what the network computes." },
    { sentence: "It has learnt a differential equation: by the steps of training it answers like its accurate solution, for 98 of 100 points.", holds: n.agree >= 0.98, found: `They agree for ${say(100 * n.agree)} % of the points.`, why: "With RK4 and eight steps for each layer the answers are others. Train by shorter steps or by a higher order, and test again." },
  ],
  text: [
    "## One function, many marches",
    "A residual network with weights $K(t)$, $b(t)$ that are constant on each of its layers defines a differential equation, $u'=\\tanh(K(t)u+b(t))$, and any scheme with any number of steps can follow it. So there is not one misfit, but a whole matrix $J_{n_t}^{\\text{scheme}}(\\theta)$ of them, and training has seen a single entry.",
    "If the steps are short enough, the entries agree: with a scheme of order $p$,",
    "$$ J_{n_t}(\\theta) = J_\\infty(\\theta) + C\\,n_t^{-p} + \\dots, \\qquad J_{2n_t}(\\theta)-J_{n_t}(\\theta) \\approx -(1-2^{-p})\\,C\\,n_t^{-p}. $$",
    "That gives a test that needs no new data and no training: march the same weights with twice as many steps. If the misfit moves, the network has *not* learnt a differential equation; what you know of flows (that paths never meet, that they can be run backwards, that an energy stays) does not hold for it. If it stays, the difference tells how far the limit is.",
    "## Why training prefers the steps",
    "The optimiser is told to reduce $J_{n_t}$ and nothing else, so it takes what the steps offer. The networks of the figure have the same width, data and penalty, and the median of $h|K|$ over their layers is 4.4 and 2.2 with 8 and 16 Euler steps, 2.6 and 0.97 with Heun's, 2.7 with 8 of RK4. For eigenvalues that decay, $h|\\lambda|\\le2$ is the limit of Euler and Heun, and 2.78 that of RK4 (page 3.2): by this measure three of the five networks lie beyond the limit of their scheme, and these are the three that fall apart. Nothing held the other two within it but luck and order.",
    "## What to do",
    "Measure $J_{2n_t}-J_{n_t}$ while training, and refine when it grows beyond a tolerance. Penalise $|K|$ or its change in time. And if only the answers of this one network are wanted, there is nothing wrong with having learnt the steps: then it is a network, and must be marched as it was trained.",
  ],
  code: (s) => `
import numpy as np
from numdl.course.site import grids

data = grids.read("marched_data")
net, scheme, parts = data["nets"]["${s.net}"], "${s.scheme}", ${FACTORS[s.finer]}
K0, b0, K, b, W = (np.array(net[name]) for name in ("K0", "b0", "K", "b", "W"))
h = data["T"] / len(K) / parts
u = np.tanh(np.array(data["xTest"]) @ K0.T + b0)
for Kj, bj in zip(np.repeat(K, parts, axis=0), np.repeat(b, parts, axis=0)):
    f = lambda u: np.tanh(u @ Kj.T + bj)
    k1 = f(u)
    if scheme == "euler":
        u = u + h * k1
    elif scheme == "heun":
        u = u + h / 2 * (k1 + f(u + h * k1))
    else:
        k2 = f(u + h / 2 * k1)
        k3 = f(u + h / 2 * k2)
        u = u + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(u + h * k3))
margin = (u @ W[0, :-1] + W[0, -1]) * (2 * np.array(data["cTest"])[:, 0] - 1)
print(100 * np.mean(margin <= 0), np.mean(np.logaddexp(0, -margin)))
`,
  codeNote: "It prints the share of new points that are put wrong, in percent, and the mean misfit.",
  prints: (n) => [n.now.error, n.now.misfit],
  exercises: [
    { ask: "The network that was trained with 8 steps by RK4: how many evaluations of a layer does the cheapest march take that loses less than 1 % of the points?", input: "evaluations", right: 32, wrong: 8,
      check: ({ answer }) => { const all = Object.values(marches("rk4 8")).flat(), own = marches("rk4 8").rk4[0].error, least = Math.min(...all.filter((one) => one.error < own + 1).map((one) => one.cost)); return { passed: answer === least, say: answer === least ? `Passed: ${least}, by RK4 as it was trained, and by twice as many steps of Heun.` : "Choose that network, and look for the leftmost point of the second figure that is not above the dashed line by more than 1 %. RK4 evaluates four times in a step." }; } },
    { ask: "Another network has the misfit 0.30 by 16 Euler steps and 0.34 by 32. Suppose that these steps are short enough for the law of the order. What misfit has its differential equation?", input: "misfit", right: 0.38, wrong: 0.36,
      check: ({ answer }) => ({ passed: Math.abs(answer - 0.38) < 0.002, say: Math.abs(answer - 0.38) < 0.002 ? "Passed: what is missing halves with each doubling, $0.04 + 0.02 + 0.01 + \\dots = 0.08$ in all." : "Euler's error halves with each doubling: the next change is 0.02, then 0.01, and so on without end." }) },
  ],
  sources: [
    "K. Ott, P. Katiyar, P. Hennig and M. Tiemann, ResNet after all: neural ODEs and their numerical solution, *ICLR* 2021.",
    "A. F. Queiruga, N. B. Erichson, D. Taylor and M. W. Mahoney, Continuous-in-depth neural networks, arXiv:2008.02389.",
    "In numdl: `numdl experiment run overfitting-a-discretisation`; `numdl.models.refined` and `prolonged` make the network of twice as many layers. The networks of the figure were trained by Levenberg and Marquardt's method, 60 iterations, head eliminated.",
  ],
  trials: NETS.flatMap(([net]) => Object.keys(STAGES).flatMap((scheme) => (scheme === "euler" ? [0, 3] : scheme === "heun" ? [1] : [0, 2]).map((finer) => ({ net, scheme, finer })))),
  compare: (n) => ({ scores: n.now.scores, now: [n.now.error, n.now.misfit], cost: n.now.cost }),
};
