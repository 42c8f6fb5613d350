// 3.13: what if the march explodes?
import { range, solve, zeros } from "../../lib/numerics.mjs";
import { counted, say } from "../../lib/plot.mjs";
import { march } from "../../lib/schemes.mjs";

// min 1/2 int v^2, u' = a u^3 + v, u(0) = 1, u(1) = 0. The best control is v = -p with p' = -3 a u^2 p. Unknowns: the state (u, p) where
// each piece starts, but u(0). 64 steps of RK4 in all; Newton's method for the gaps between the pieces.
const LAYERS = 64, MOST = 12, PIECES = [1, 2, 4, 8, 16], HUGE = 1e8;
const field = (a) => (t, [u, p, ...V]) => {
  const f = [a * u ** 3 - p, -3 * a * u * u * p];
  for (let k = 0; k < V.length; k += 2) f.push(3 * a * u * u * V[k] - V[k + 1], -6 * a * u * p * V[k] - 3 * a * u * u * V[k + 1]);
  return f;
};
const piece = (a, m, s) => march("rk4", field(a), LAYERS / m, 1 / m, s);

// Newton's steps from a straight line and p = 0: for each the starts of all pieces; it ends early where a number is too large.
export function newton(a, m) {
  let starts = range(m).map((i) => [1 - i / m, 0]);
  const all = [];
  for (let k = 0; k <= MOST; k++) {
    const ends = starts.map((s) => piece(a, m, [...s, 1, 0, 0, 1]).at(-1)), gaps = ends.map((e, i) => (i < m - 1 ? [starts[i + 1][0] - e[0], starts[i + 1][1] - e[1]] : [-e[0]]));
    const defect = Math.max(...gaps.flat().map(Math.abs)), growth = Math.max(...ends.map((e) => Math.hypot(...e.slice(2))));
    if (!(defect < HUGE)) { all.push({ starts, defect: Infinity, growth: Infinity }); break; }
    all.push({ starts, defect, growth });
    // Unknown 0 is p_0, unknowns 2i-1 and 2i are u_i and p_i; rows of a gap: ds_{i+1} - V_i ds_i = -gap, the last for u only.
    const n = 2 * m - 1, A = range(n).map(() => zeros(n)), b = zeros(n);
    gaps.forEach((gap, i) => gap.forEach((x, c) => {
      const row = 2 * i + c, V = [ends[i][2 + c], ends[i][4 + c]]; // du_c by u_i and by p_i
      b[row] = i < m - 1 ? -x : x;
      if (i > 0) A[row][2 * i - 1] = i < m - 1 ? -V[0] : V[0];
      A[row][2 * i] = i < m - 1 ? -V[1] : V[1];
      if (i < m - 1) A[row][2 * i + 1 + c] = 1;
    }));
    const step = solve(A, b);
    starts = starts.map(([u, p], i) => (i ? [u + step[2 * i - 1], p + step[2 * i]] : [u, p + step[0]]));
    if (!starts.flat().every((x) => Math.abs(x) < HUGE)) { all.push({ starts, defect: Infinity, growth: Infinity }); break; }
  }
  return all;
}
const kept = new Map();
const solved = (a, m) => { const key = `${a} ${m}`; if (!kept.has(key)) kept.set(key, newton(a, m)); return kept.get(key); };
const closed = (steps) => steps.findIndex((one) => one.defect < 1e-8);

function compute({ growth: a, pieces, step }) {
  const m = PIECES[pieces], steps = solved(a, m), single = solved(a, 1), now = steps[Math.min(step, steps.length - 1)], best = PIECES.map((k) => solved(a, k)), winner = best.find((one) => closed(one) >= 0) ?? best.at(-1);
  const ways = now.starts.map((s) => piece(a, m, s)), count = best.indexOf(winner), exact = winner.at(-1).starts.flatMap((s, i) => piece(a, PIECES[count], s).slice(i ? 1 : 0));
  return { m, steps, single, now, ways, exact, found: closed(steps) >= 0 ? closed(steps) : -1, singleFound: closed(single), fewest: closed(winner) >= 0 ? PIECES[count] : 0, stopped: steps.length <= step };
}
const TIMES = (m, i) => range(LAYERS / m + 1).map((k) => i / m + k / LAYERS);

export const page = {
  id: "3.13",
  question: "What if the march explodes?",
  goal: "You will make the states of a network unknowns of their own, and train where no march gets through.",
  minutes: 20,
  needs: "Newton's method for systems; page 3.12 helps",
  controls: {
    growth: { kind: "slider", label: "strength of the growth", min: 0, max: 4, step: 0.1, value: 1.5, show: (x) => say(x) },
    pieces: { kind: "slider", label: "pieces", min: 0, max: PIECES.length - 1, value: 2, show: (k) => counted(PIECES[k], "piece") },
    step: { kind: "slider", label: "Newton steps", min: 0, max: MOST, value: 0, play: 800, show: (k) => counted(k, "Newton step") },
  },
  hidden: {},
  guess: {
    ask: "$u' = 1.5\\,u^3 + v$ starts at 1 and shall be steered to 0 at time 1. You have no idea of the control, so you begin with $v=0$. Where does the march end?",
    options: ["near 1.5", "near 4.5", "nowhere: it leaves all bounds before time 1"], answer: 2, hides: ["single"], see: { pieces: 0 },
    why: "Without control $u(t) = 1/\\sqrt{1-3t}$, which is infinite at $t = \\tfrac13$. A method that corrects a march has nothing to correct.",
  },
  sentence: [
    "Let $u' = a\\,u^3 + v$ with $a=$ [[growth]] start at 1 and end at 0. Cut the time into [[pieces]]; each starts from a guess of its own, on the straight line from 1 to 0. After [[step]] the largest gap is {{gap}}. {{found}} A single march {{single}}.",
  ],
  breaks: [
    { label: "Next step", patch: (s) => ({ step: s.step + 1 }) },
    { label: "Break it", patch: { growth: 1.5, pieces: 0, step: 0 }, why: "One piece is single shooting: the whole march hangs on its first moment, and with $v=0$ it explodes at $t = 1/(2a)$." },
    { label: "Too few", patch: { growth: 3, pieces: 1, step: 0 }, why: "Half of the time is still longer than $1/(2a) = 0.17$, and the first piece explodes." },
  ],
  compute,
  values: (n, s) => ({ gap: Number.isFinite(n.now.defect) ? say(n.now.defect) : "without bound", found: n.found >= 0 ? `They close to 10⁻⁸ after ${counted(n.found, "step")}.` : "They never close.", single: n.singleFound >= 0 ? `would need ${n.singleFound}` : "never gets through" }),
  views: [
    {
      frame: () => ({ title: "The path, piece by piece", height: 340, x: { min: 0, max: 1, label: "time, 64 layers" }, y: { min: -1, max: 2.5, label: "u" } }),
      draw(plot, n, s, { ghost }) {
        plot.across(0, { width: 1 });
        if (n.fewest) plot.line(range(LAYERS + 1).map((k) => k / LAYERS), n.exact.map((e) => e[0]), { color: "green", dash: "6 4", label: "optimal path" });
        if (ghost && ghost.settings.growth === s.growth) ghost.numbers.ways.forEach((way, i) => plot.line(TIMES(ghost.numbers.m, i), way.map((e) => e[0]), { color: "blue", faint: true, width: 1.4 }));
        n.ways.forEach((way, i) => plot.line(TIMES(n.m, i), way.map((e) => e[0]), { color: "blue", label: "pieces" }));
        plot.dots(range(n.m).map((i) => i / n.m), n.now.starts.map((e) => e[0]), { color: "orange", size: 4, label: "their starts, which are unknowns" });
        plot.dots([1], [0], { color: "ink", shape: "diamond", size: 5, label: "target" });
        const lost = n.ways.findIndex((way) => way.some((e) => !(Math.abs(e[0]) < 1e3)));
        if (lost >= 0) plot.note(lost / n.m, 2.5, `piece ${lost + 1} explodes`, { color: "red", dx: 10, dy: 16 });
      },
    },
    {
      frame: () => ({ title: "Largest gap after every Newton step", height: 340, x: { min: 0, max: MOST, label: "Newton step" }, y: { min: 1e-16, max: 1e8, log: true, label: "gap" } }),
      draw(plot, n, s, { ghost, open }) {
        const show = (steps) => steps.map((one) => Math.min(Math.max(one.defect, 1e-16), 1e9)), at = (steps) => range(steps.length);
        if (ghost) plot.line(at(ghost.numbers.steps), show(ghost.numbers.steps), { color: "blue", faint: true, label: "your last setting" });
        if (open) plot.line(at(n.single), show(n.single), { color: "red", width: 1.4, dash: "4 3" });
        if (open) plot.dots(at(n.single), show(n.single), { color: "red", shape: "cross", size: 4, label: "a single march" });
        if (open && !Number.isFinite(n.single[0].defect)) plot.note(MOST, 1e8, "a single march explodes at once", { color: "red", anchor: "end", dx: -6, dy: 18 });
        plot.line(at(n.steps), show(n.steps), { color: "blue", width: 1.4 });
        plot.dots(at(n.steps), show(n.steps), { color: "blue", size: 3.4, label: n.m === 1 ? "one piece" : `${n.m} pieces` });
        plot.dots([Math.min(s.step, n.steps.length - 1)], [show(n.steps)[Math.min(s.step, n.steps.length - 1)]], { color: "ink", shape: "ring", size: 7, label: "now" });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "Control v = −p, piece by piece", height: 170, x: { min: 0, max: 1, label: "time" }, y: { min: -9, max: 1, label: "v" } }),
      draw(plot, n) {
        plot.across(0, { width: 1 });
        if (n.fewest) plot.line(range(LAYERS + 1).map((k) => k / LAYERS), n.exact.map((e) => -e[1]), { color: "green", dash: "6 4", label: "optimal" });
        n.ways.forEach((way, i) => plot.line(TIMES(n.m, i), way.map((e) => -e[1]), { color: "blue", label: "pieces" }));
      },
    },
  ],
  table: (n) => ({ head: ["Newton step", "largest gap", "single march: gap", "largest growth in a piece"], rows: range(MOST + 1).map((k) => [k, n.steps[k] ? say(n.steps[k].defect) : "", n.single[k] ? say(n.single[k].defect) : "", n.steps[k] ? say(n.steps[k].growth) : ""]) }),
  claims: (n, s) => [
    { sentence: `The path is closed: after ${counted(s.step, "step")} no gap is above $10^{-8}$.`, holds: n.now.defect < 1e-8, found: Number.isFinite(n.now.defect) ? `The largest is ${say(n.now.defect)}.` : "A piece has left all bounds.", why: n.found >= 0 ? `It is after ${n.found} steps.` : `With $v=0$ a piece that starts at 1 explodes after the time $1/(2a) = ${say(1 / (2 * s.growth))}$; these last ${say(1 / n.m)}.` },
    { sentence: "A single march from $v = 0$ gets there too.", holds: n.singleFound >= 0, found: n.singleFound >= 0 ? `In ${n.singleFound} steps.` : "Newton's method for one piece fails.", why: s.growth > 0.5 ? "The march explodes before the end, so there is no end to correct." : "It gets through, but the corrections lead into an explosion." },
    { sentence: "No piece multiplies a small change of its start by more than 10.", holds: n.now.growth <= 10, found: Number.isFinite(n.now.growth) ? `The largest factor is ${say(n.now.growth)}.` : "There is no bound.", why: "Shorter pieces have smaller factors: cut one into two, and each has about the root." },
    { sentence: "The last step made the largest gap a hundred times smaller, or there was none left.", holds: s.step > 0 && !n.stopped && (n.now.defect <= 0.01 * n.steps[s.step - 1].defect || n.now.defect < 1e-12), found: s.step === 0 ? "No step has been taken." : n.stopped ? "The steps have broken off." : `From ${say(n.steps[s.step - 1].defect)} to ${say(n.now.defect)}.`, why: s.step === 0 ? "Take one." : n.stopped ? "There is nothing to correct where a march has no end." : "Newton's method does that once it is near; on the way there it may even widen gaps." },
  ],
  text: [
    "## Why a march is a poor unknown",
    "In ordinary training the weights are the unknowns, and states follow from them. If the flow expands, the last state depends on the first weights with an enormous factor, and a small error in them, or a first guess of them, sends the march anywhere. That is the explosion of states and gradients, seen from the other side.",
    "## States as unknowns",
    "Cut the time into pieces. Give each its own start $s_i$, which is an unknown like the weights, and demand as *equations* what the march made true by itself:",
    "$$ s_{i+1} = \\Phi(s_i, v_i), \\qquad i = 0,\\dots,m-1 . $$",
    "Until the end the path is broken. Two things are gained: a guess of the path can be used, here a straight line from start to target, which one often has where a guess of the control is impossible; and no march is longer than a piece, so that no factor is larger than that of a piece.",
    "The figure solves a control problem, $\\min\\tfrac12\\int v^2dt$. Its optimality conditions are $v = -p$ and $p' = -3au^2p$; so each piece has the state $(u,p)$, and its gaps are those of both. Newton's method solves for all starts at once: the equations between neighbours form the block-bidiagonal system of page 3.9. All pieces can be marched at the same time, on as many processors; with the control eliminated in each piece this is the relative of page 3.15.",
    "## What it costs",
    "More unknowns, and a path that is no path until the method has converged: stopped early, it has gaps, and means nothing. Newton's method also needs derivatives of $\\Phi$. And the pieces must be short enough, though not shorter: with $v=0$ a start at 1 explodes after $1/(2a)$, so $m > 2a$ is needed here.",
  ],
  code: (s) => `
import numpy as np
from scipy.optimize import root

a, m, n = ${s.growth}, ${PIECES[s.pieces]}, ${LAYERS}
f = lambda s: np.array([a * s[0] ** 3 - s[1], -3 * a * s[0] ** 2 * s[1]])

def gaps(x):  # x holds p(0), then u and p where the other pieces start
    s = np.append(1.0, x).reshape(m, 2)
    e, h = s.T, 1 / n
    for _ in range(n // m):  # all pieces at the same time
        k1 = f(e)
        k2 = f(e + h / 2 * k1)
        k3 = f(e + h / 2 * k2)
        e = e + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(e + h * k3))
    return np.append((s[1:] - e.T[:-1]).ravel(), e[0, -1])

line = np.stack([1 - np.arange(m) / m, np.zeros(m)], axis=1).ravel()[1:]
with np.errstate(all="ignore"):
    print(int(np.abs(gaps(line)).max() < 1e8))
    found = root(gaps, line, tol=1e-12) if np.abs(gaps(line)).max() < 1e8 else None
print(-found.x[0] if found and found.success else 0)
`,
  codeNote: "It prints whether the march from the straight line stays within bounds, and the first value of the control once SciPy has closed the gaps.",
  prints: (n) => [+Number.isFinite(n.steps[0].defect), n.found >= 0 ? -n.steps.at(-1).starts[0][1] : 0],
  exercises: [
    { ask: "With $a = 3$: what is the smallest number of pieces among 1, 2, 4, 8, 16 for which the gaps close from the straight line?", input: "pieces", right: 8, wrong: 1,
      check: ({ answer }) => { const wanted = PIECES.find((m) => closed(solved(3, m)) >= 0); return { passed: answer === wanted, say: answer === wanted ? `Passed: ${wanted}. Each piece must be shorter than $1/(2a)$.` : "Set $a=3$, choose the pieces, and play the Newton steps." }; } },
    { ask: "Without control, $u' = a u^3$ with $a = 2$ starts at 1. At what time is it infinite?", input: "time", right: 0.25, wrong: 0.5,
      check: ({ answer }) => ({ passed: Math.abs(answer - 0.25) < 1e-6, say: Math.abs(answer - 0.25) < 1e-6 ? "Passed: $u = 1/\\sqrt{1-2at}$." : "Separate the variables: $u^{-2} = 1 - 2at$." }) },
  ],
  sources: [
    "H. G. Bock and K. J. Plitt, A multiple shooting algorithm for direct solution of optimal control problems, *IFAC Proceedings* 17 (1984).",
    "U. Ascher, R. Mattheij and R. Russell, *Numerical Solution of Boundary Value Problems for Ordinary Differential Equations*, SIAM 1995, sections 4.1 to 4.3.",
    "In numdl: `numdl experiment run multiple-shooting`.",
  ],
  trials: [[0, 0], [0.3, 0], [0.3, 2], [1, 0], [1, 1], [1, 2], [1, 3], [1.5, 2], [1.5, 3], [1.5, 4], [2.2, 3], [2.2, 4], [3, 3], [3, 4], [3.6, 4]].flatMap(([growth, pieces], i) => [1 + (i % 3), 8].map((step) => ({ growth, pieces, step }))),
  compare: (n) => ({ starts: n.now.starts, gap: [n.now.defect, n.steps[0].defect].map((x) => (Number.isFinite(x) ? x : -1)), found: [n.found, n.singleFound] }),
};
