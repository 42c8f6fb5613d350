// 3.10: what does depth cost in memory?
import { range } from "../../lib/numerics.mjs";
import { counted, say } from "../../lib/plot.mjs";

// The slope of layer k needs the state before it. A schedule stores some states, and computes the others again.
const STRATEGIES = [["store", "storing every state"], ["equal", "equally spaced checkpoints"], ["binomial", "binomial checkpoints"], ["reverse", "running backwards"]];
const COLOR = { store: "purple", equal: "green", binomial: "orange", reverse: "red" }, SLOTS = 12;

const least = new Map();
// Fewest forward evaluations for the slopes of n layers with s slots, the first of which holds the start.
export function optimum(n, s) {
  if (n <= 1) return { evaluations: 0, split: 0 };
  if (s <= 1) return { evaluations: (n * (n - 1)) / 2, split: 0 };
  const key = 1000 * n + s;
  if (!least.has(key)) {
    let best = { evaluations: Infinity };
    for (let j = 1; j < n; j++) { const e = j + optimum(n - j, s - 1).evaluations + optimum(j, s).evaluations; if (e < best.evaluations) best = { evaluations: e, split: j }; }
    least.set(key, best);
  }
  return least.get(key);
}

// Every evaluation and every slope takes one moment. Returns the way through the layers and who lives when.
export function schedule(strategy, n, s) {
  const live = new Map(), kept = [], way = [], repeats = new Array(n).fill(0);
  let now = 0, evaluations = 0, peak = 0;
  const store = (k) => { live.set(k, now); peak = Math.max(peak, live.size); }, free = (k) => { kept.push({ k, from: live.get(k), to: now }); live.delete(k); };
  const go = (from, to) => { for (let k = from; k !== to; ) { const next = k + Math.sign(to - k); way.push({ kind: "state", at: now++, from: k, to: next }); repeats[Math.min(k, next)]++; evaluations++; k = next; } };
  const slope = (k) => way.push({ kind: "slope", at: now++, from: k, to: k - 1 });
  const all = (a, b) => { for (let k = a; k < b - 1; k++) { go(k, k + 1); store(k + 1); } for (let k = b; k > a; k--) { slope(k); free(k - 1); } };
  function split(a, b, slots) {
    if (b - a === 1) return slope(b);
    if (slots === 1) { for (let k = b; k > a; k--) { go(a, k - 1); slope(k); } return; }
    const j = optimum(b - a, slots).split;
    go(a, a + j);
    store(a + j);
    split(a + j, b, slots - 1);
    free(a + j);
    split(a, a + j, slots);
  }
  store(0);
  if (strategy === "store") all(0, n);
  else if (strategy === "binomial") { split(0, n, s); free(0); }
  else if (strategy === "equal") {
    const L = Math.ceil(n / s), starts = range(Math.ceil(n / L)).map((i) => i * L);
    starts.slice(1).forEach((k) => { go(k - L, k); store(k); });
    starts.reverse().forEach((k) => all(k, Math.min(k + L, n)));
  } else { free(0); go(0, n - 1); slope(n); for (let k = n - 1; k > 0; k--) { go(k, k - 1); slope(k); } peak = 1; }
  return { way, kept, repeats, evaluations, peak, moments: now };
}

// Backwards through n layers that were gone forwards: what is the start then? Verlet's steps of y' = z, z' = -y keep the size of
// a state, Euler's of u' = 1/3 - u halve its distance from 1/3.
export function undone(n) {
  const h = 0.3, c = 1 / 3;
  let y = 1, z = c, u = 1;
  for (let k = 0; k < n; k++) { z -= (h / 2) * y; y += h * z; z -= (h / 2) * y; u += 0.5 * (c - u); }
  for (let k = 0; k < n; k++) { z += (h / 2) * y; y -= h * z; z += (h / 2) * y; u = (u - 0.5 * c) / 0.5; }
  return { keeping: Math.max(Math.abs(y - 1), Math.abs(z - c)), forgetting: Math.abs(u - 1) };
}
const UNDONE = range(65).map(undone);

function compute({ strategy, layers: n, slots: s }) {
  const made = schedule(strategy, n, s), curve = (name) => range(SLOTS).map((i) => schedule(name, n, i + 1));
  let r = 0, reach = 1;
  while (reach < n) { r++; reach = (reach * (s + r)) / r; }
  return { ...made, n, s, equal: curve("equal"), binomial: curve("binomial"), r, reach, best: optimum(n, made.peak).evaluations, most: Math.max(...made.repeats) };
}

export const page = {
  id: "3.10",
  question: "What does depth cost in memory?",
  goal: "You will trade memory for work at the best rate there is, and know when a network needs no memory at all.",
  minutes: 20,
  needs: "gradients by the adjoint: backwards through the layers",
  controls: {
    layers: { kind: "slider", label: "layers", min: 4, max: 64, value: 24, show: String },
    strategy: { kind: "choice", label: "strategy", options: STRATEGIES, value: "binomial" },
    slots: { kind: "slider", label: "slots", min: 1, max: SLOTS, value: 3, play: 700, show: (k) => counted(k, "slot") },
  },
  hidden: {},
  guess: {
    ask: "A network has 1000 layers, and you have room for the states of 10 of them. For its gradient you may compute states again. How often must a layer be evaluated, at most?",
    options: ["100 times", "10 times", "4 times"], answer: 2,
    why: "With 10 slots and four evaluations one reaches $\\binom{14}{10} = 1001$ layers. Memory and work multiply each other's reach; they do not add up.",
  },
  sentence: [
    "The gradient of [[layers]] layers by [[strategy]], with [[slots]]: at most {{peak}} at the same time, and layers are evaluated {{evaluations}} times, {{ratio}} times as often as with every state stored. The busiest layer is evaluated {{most}} times.",
  ],
  breaks: [
    { label: "One slot", patch: { strategy: "binomial", slots: 1 }, why: "With the start alone, every slope costs a march from the very first layer: $n(n-1)/2$ evaluations." },
    { label: "Equal spacing, same slots", patch: { strategy: "equal", slots: 3, layers: 24 }, why: "Two evaluations of each layer at most, but besides the checkpoints all states within one gap must live: 10 instead of 3." },
    { label: "No memory at all", patch: { strategy: "reverse", layers: 64 }, why: "If a layer can be undone, its input follows from its output. That costs one pass back, and it is honest only for flows that do not forget: look at the lowest figure." },
  ],
  disabled: ({ strategy }) => (strategy === "store" || strategy === "reverse" ? ["slots"] : []),
  compute,
  values: (n) => ({ peak: n.peak === 1 ? "one state lives" : `${n.peak} states live`, evaluations: String(n.evaluations), ratio: say(n.evaluations / (n.n - 1)), most: String(n.most) }),
  views: [
    {
      frame: (n) => ({ title: "Who lives when", height: 360, x: { min: 0, max: n.moments, label: "evaluations and slopes, one after the other" }, y: { min: 0, max: n.n, label: "layer" } }),
      draw(plot, n, { strategy }, { ghost }) {
        if (ghost) ghost.numbers.kept.forEach((one) => plot.line([one.from, one.to], [one.k, one.k], { color: "blue", faint: true, width: 1.2 }));
        n.kept.forEach((one) => plot.line([one.from, one.to], [one.k, one.k], { color: "blue", width: n.n > 40 ? 2 : 3, label: "state kept" }));
        const path = (kind) => n.way.filter((step) => step.kind === kind).flatMap((step) => [[step.at, step.from], [step.at + 1, step.to], [NaN, NaN]]);
        const [go, back] = [path("state"), path("slope")];
        plot.line(go.map((p) => p[0]), go.map((p) => p[1]), { color: COLOR[strategy], width: 1.6, label: "state computed" });
        plot.line(back.map((p) => p[0]), back.map((p) => p[1]), { color: "ink", width: 2.4, label: "slope of a layer" });
      },
    },
    {
      frame: () => ({ title: "Work against memory", height: 360, x: { min: 0.8, max: 80, log: true, label: "states that live at the same time", ticks: [1, 2, 5, 10, 20, 50] }, y: { min: 0.8, max: 40, log: true, label: "evaluations of a layer, on average", ticks: [1, 2, 5, 10, 20] } }),
      draw(plot, n, s, { change }) {
        const each = (made) => made.evaluations / n.n;
        plot.line(n.binomial.map((m) => m.peak), n.binomial.map(each), { color: COLOR.binomial, width: 1.4 });
        plot.dots(n.binomial.map((m) => m.peak), n.binomial.map(each), { color: COLOR.binomial, label: "binomial, 1 to 12 slots" });
        plot.dots(n.equal.map((m) => m.peak), n.equal.map(each), { color: COLOR.equal, label: "equally spaced, 1 to 12" });
        plot.dots([n.n], [(n.n - 1) / n.n], { color: COLOR.store, shape: "square", size: 4, label: "all stored" });
        plot.dots([1], [(2 * (n.n - 1)) / n.n], { color: COLOR.reverse, shape: "diamond", size: 4, label: "backwards" });
        plot.dots([n.peak], [each(n)], { color: "ink", shape: "ring", size: 7, label: "now" });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "Running backwards: how far from the start does one come out?", height: 190, x: { min: 0, max: 64, label: "layers, forwards and back" }, y: { min: 1e-17, max: 1e4, log: true, label: "error of the start" } }),
      draw(plot, n) {
        plot.line(range(65), range(65).map((k) => 2 ** (k - 53)), { color: "grey", dash: "5 4", width: 1.3, label: "rounding, doubled by every layer" });
        plot.line(range(65), UNDONE.map((e) => e.forgetting || NaN), { color: "red", width: 1.8, label: "a flow that forgets" });
        plot.line(range(65), UNDONE.map((e) => e.keeping || NaN), { color: "red", dash: "2 4", width: 2, label: "a flow that keeps: Verlet's steps" });
        plot.upright(n.n, { color: "ink", label: "your layers" });
      },
    },
  ],
  table: (n) => ({ head: ["slots", "binomial: evaluations", "states", "equally spaced: evaluations", "states"], rows: range(SLOTS).map((i) => [i + 1, n.binomial[i].evaluations, n.binomial[i].peak, n.equal[i].evaluations, n.equal[i].peak]) }),
  claims: (n, s) => [
    { sentence: s.slots === 1 ? "One slot is enough." : `The ${s.slots} slots are enough.`, holds: n.peak <= s.slots, found: n.peak === 1 ? "Never more than one state lives." : `At most ${n.peak} states live at the same time.`, why: s.strategy === "store" ? "Every state is stored until its layer has its slope." : "All states of one gap live besides the checkpoints. Only a schedule that splits the gaps again stays within its slots." },
    { sentence: "It costs at most one more pass than storing everything.", holds: n.evaluations <= 2 * (n.n - 1), found: `${n.evaluations} evaluations against ${n.n - 1}.`, why: `With ${s.slots === 1 ? "one slot" : `${s.slots} slots`} and two evaluations of each layer one reaches only $\\binom{s+2}{2} = ${((s.slots + 2) * (s.slots + 1)) / 2}$ layers.` },
    { sentence: "No schedule without inverse steps does it with less work in this memory.", holds: n.evaluations <= n.best, found: `The best with ${n.peak === 1 ? "one state" : `${n.peak} states`} makes ${n.best} evaluations, this one ${n.evaluations}.`, why: "Equal gaps waste slots: those of layers that are done could serve again." },
    { sentence: `Running back through ${n.n} layers of the flow that forgets returns the start to six digits.`, holds: UNDONE[n.n].forgetting < 1e-6, found: `It comes out ${say(UNDONE[n.n].forgetting)} away; the flow that keeps comes out ${say(UNDONE[n.n].keeping)} away.`, why: "Each layer halves what distinguishes two states, so each step back doubles the rounding of the end. What is forgotten cannot be recomputed." },
  ],
  text: [
    "## The problem",
    "The chain rule goes from the last layer to the first, and at layer $k$ it needs the state $u_{k-1}$ that entered it. Forwards the states come in the opposite order. Storing all of them costs memory in proportion to depth; a network of 1000 layers, 1000 samples and 1000 units in single precision needs 4 gigabytes for one gradient.",
    "## Checkpoints",
    "Store some states only, and compute the others again from there. With $s$ equally spaced checkpoints each layer is evaluated twice, and about $s + n/s$ states live at the same time; $s = \\sqrt n$ is best, and $2\\sqrt n$ states remain.",
    "One can do better by asking how many layers $\\beta(s, r)$ can be reached if $s$ slots are there, one of which holds the start, and no layer is evaluated more than $r$ times. Walk to some layer and store its state. Behind it are $s-1$ slots and still $r$ evaluations of each layer; before it, once that is done, $s$ slots and $r-1$ evaluations, because one has walked there already. So",
    "$$ \\beta(s,r) = \\beta(s-1,r) + \\beta(s,r-1), \\qquad \\beta(s,r) = \\binom{s+r}{s} . $$",
    "It is Pascal's triangle, and the schedule is called binomial. At your settings $r$ must satisfy $n_t \\le \\binom{s+r}{s}$. The total work is $r\\,n_t - \\binom{s+r}{r-1}$ evaluations, and none is better. Storing everything is the case $r=1$, one slot is the case $s=1$.",
    "## Running backwards",
    "If a layer can be undone, nothing needs to be kept. Verlet's step can: $z_{1/2} = z - \\tfrac h2 y$, $y^+ = y + h z_{1/2}$, $z^+ = z_{1/2} - \\tfrac h2 y^+$ are three lines, each of which is undone by changing a sign. Networks with such layers are called reversible. In exact arithmetic every invertible layer would do. In floating point the step back multiplies rounding errors by what the layer divides by: flows that keep their size lose nothing, and a flow that halves distances has forgotten a double-precision number after 53 layers.",
  ],
  code: (s) => `
import numpy as np
from functools import cache

@cache
def evaluations(n, s):  # fewest for the slopes of n layers with s slots
    if n == 1:
        return 0
    if s == 1:
        return n * (n - 1) // 2
    return min(j + evaluations(n - j, s - 1) + evaluations(j, s) for j in range(1, n))

n, c = ${s.layers}, 1 / 3
u = 1.0
for _ in range(n):  # a flow that halves the distance from 1/3
    u = u + 0.5 * (c - u)
for _ in range(n):
    u = (u - 0.5 * c) / 0.5
print(n - 1, evaluations(n, ${s.slots}), abs(u - 1))
`,
  codeNote: "It prints the evaluations with every state stored, those of the binomial schedule with your slots, and the error of running back through a flow that forgets.",
  prints: (n) => [n.n - 1, n.binomial[n.s - 1].evaluations, UNDONE[n.n].forgetting],
  exercises: [
    { ask: "A network has 1000 layers, and you have 10 slots. How often must the busiest layer be evaluated?", input: "times", right: 4, wrong: 100,
      check: ({ answer }) => ({ passed: answer === 4, say: answer === 4 ? "Passed: $\\binom{14}{10} = 1001 \\ge 1000$, while $\\binom{13}{10} = 286$." : answer === 3 ? "Three evaluations reach $\\binom{13}{10} = 286$ layers." : "Find the smallest $r$ with $\\binom{10+r}{10} \\ge 1000$." }) },
    { ask: "10,000 layers, equally spaced checkpoints, each layer evaluated at most twice. With how many checkpoints do the fewest states live at the same time?", input: "checkpoints", right: 100, wrong: 5000,
      check: ({ answer }) => ({ passed: Math.abs(answer - 100) <= 1, say: Math.abs(answer - 100) <= 1 ? "Passed: $s + n/s$ is smallest at $s = \\sqrt n$; about 200 states live. The binomial schedule with $r = 2$ needs 140." : "Minimise $s + 10000/s$." }) },
  ],
  sources: [
    "A. Griewank and A. Walther, Algorithm 799: revolve, *ACM Transactions on Mathematical Software* 26 (2000), section 2.",
    "B. Chang, L. Meng, E. Haber, L. Ruthotto, D. Begert and E. Holtham, Reversible architectures for arbitrarily deep residual neural networks, *AAAI* 2018.",
    "In numdl: `march=\"checkpointed\"`, three levels of equal gaps that a compiled loop can follow, and `march=\"reversible\"`; `numdl experiment run reversible-depth`.",
  ],
  trials: [...[4, 9, 24, 41, 64].flatMap((layers) => [1, 3, 7, 12].map((slots) => ({ strategy: "binomial", layers, slots }))), ...[[5, 2], [24, 3], [30, 7], [64, 8], [63, 12]].map(([layers, slots]) => ({ strategy: "equal", layers, slots })), ...[10, 64].flatMap((layers) => [{ strategy: "store", layers }, { strategy: "reverse", layers }])],
  compare: (n) => ({ counts: [n.evaluations, n.peak, n.most, n.r], repeats: [...n.repeats].sort((a, b) => a - b), undone: [UNDONE[n.n].keeping, UNDONE[n.n].forgetting] }),
};
