// 3.15: can all layers be computed at once?
import { range } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// A flow u' = lambda u through 256 Euler layers, u in the complex plane: numdl.flow.march.multigrid on two levels, F-relaxation.
const LAYERS = 256, TIME = 4, CYCLES = 20;
const FLOWS = { decaying: [-1, 0], turning: [0, 1.5], growing: [0.5, 0] };
const times = (a, b) => [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]];
const plus = (a, b) => [a[0] + b[0], a[1] + b[1]], minus = (a, b) => [a[0] - b[0], a[1] - b[1]], size = (a) => Math.hypot(a[0], a[1]);
const euler = (flow, h) => { const [x, y] = FLOWS[flow]; return [1 + h * x, h * y]; };

// Ends of the intervals after 0, 1, ... cycles; each cycle sweeps all intervals at the same time and corrects them by one coarse march.
export function cycles(flow, c, count = CYCLES) {
  const h = TIME / LAYERS, fine = euler(flow, h), coarse = euler(flow, c * h), K = LAYERS / c;
  const sweep = (u) => { for (let k = 0; k < c; k++) u = times(fine, u); return u; };
  let ends = [], u = [1, 0];
  for (let j = 0; j < K; j++) ends.push((u = times(coarse, u)));
  const all = [ends];
  for (let k = 0; k < count; k++) {
    const starts = [[1, 0], ...ends.slice(0, -1)], after = starts.map(sweep), right = after.map((v, j) => minus(v, times(coarse, starts[j])));
    let w = [1, 0];
    ends = right.map((g) => (w = plus(times(coarse, w), g)));
    all.push(ends);
  }
  return all;
}

// States behind every layer: from each interval's start through its own layers.
function fill(ends, flow, c) {
  const fine = euler(flow, TIME / LAYERS), states = [];
  [[1, 0], ...ends.slice(0, -1)].forEach((start) => { let u = start; for (let k = 0; k < c; k++) states.push((u = times(fine, u))); });
  return states;
}

function compute({ flow, factor, cycle }) {
  const c = Number(factor), all = cycles(flow, c), fine = euler(flow, TIME / LAYERS);
  let u = [1, 0];
  const exact = range(LAYERS).map(() => (u = times(fine, u))), largest = Math.max(1, ...exact.map(size));
  const states = all.map((ends) => fill(ends, flow, c)), errors = states.map((way) => way.map((v, j) => size(minus(v, exact[j])) / largest));
  const worst = errors.map((e) => Math.max(...e)), needed = worst.findIndex((e) => e <= 1e-6), K = LAYERS / c;
  return { all, exact, states, errors, worst, needed, K, c, front: Math.min((cycle + 1) * c, LAYERS), inSequence: (k) => K + k * (c + K) + c, now: errors[cycle] };
}

export const page = {
  id: "3.15",
  question: "Can all layers be computed at once?",
  goal: "You will solve for all states of a network in cycles instead of layer by layer, and know when that pays.",
  minutes: 20,
  needs: "a residual network read as Euler steps",
  controls: {
    flow: { kind: "choice", label: "flow", options: [["decaying", "decaying flow"], ["turning", "turning flow"], ["growing", "growing flow"]], value: "decaying" },
    factor: { kind: "choice", label: "coarsening", options: [["4", "4 layers"], ["8", "8 layers"], ["16", "16 layers"], ["32", "32 layers"], ["64", "64 layers"]], value: "16" },
    cycle: { kind: "slider", label: "cycle", min: 0, max: 8, value: 0, play: 900, show: String },
  },
  hidden: {},
  guess: {
    ask: "A network has 256 layers; layer 256 needs the result of layer 255. You have as many processors as you like. Can you have all 256 results, to six digits, in less time than 256 layers take one after the other?",
    options: ["no, each layer needs the one before", "yes, with fewer steps in sequence", "yes, but only the last layer"], answer: 1, see: { cycle: 5 },
    why: "Cut the layers into 16 blocks, guess where each starts, run all blocks at the same time, and correct the guesses by a coarse march of 16 long steps. A decaying flow needs 5 such cycles, 192 steps in sequence instead of 256, a growing one 160. The gain grows with depth. A turning flow, though, needs 288 here.",
  },
  sentence: [
    "Take a [[flow]], 256 layers in blocks of [[factor]]. After cycle [[cycle]] the largest error is {{error}}, the first {{front}} layers are exact, and {{steps}} steps had to be done one after the other instead of 256.",
  ],
  breaks: [
    { label: "Next cycle", patch: (s) => ({ cycle: s.cycle + 1 }) },
    { label: "Break it", patch: { flow: "turning", factor: "64", cycle: 2 }, why: "A coarse step of size 1 is far outside Euler's region on the imaginary axis, page 3.2: it multiplies the turn by 1.8. The corrections are as wrong as what they correct, and only the exact front helps." },
  ],
  compute,
  values: (n, { cycle }) => ({ error: say(n.worst[cycle]), front: String(n.front), steps: String(n.inSequence(cycle)) }),
  views: [
    {
      frame: () => ({ title: "Error of every layer after every cycle", height: 310, x: { min: 0, max: LAYERS, label: "layer", ticks: [0, 64, 128, 192, 256] }, y: { min: -0.5, max: 8.5, label: "cycle", ticks: range(9) } }),
      draw(plot, n, { cycle }) {
        plot.heat(n.errors.slice(0, 9), range(LAYERS + 1), range(10).map((k) => k - 0.5), (e) => Math.min(Math.max((Math.log10(e + 1e-17) + 13) / 13, 0), 1), { color: "orange" });
        plot.name("dark: error 1; white: rounding", "orange", "square");
        plot.line([0, LAYERS, LAYERS, 0], [cycle - 0.5, cycle - 0.5, cycle + 0.5, cycle + 0.5], { color: "ink", close: true, width: 1.8, label: "now" });
        const front = range(9).flatMap((k) => [[Math.min((k + 1) * n.c, LAYERS), k - 0.5], [Math.min((k + 1) * n.c, LAYERS), k + 0.5]]);
        plot.line(front.map((p) => p[0]), front.map((p) => p[1]), { color: "green", width: 2, label: "exact up to here, whatever the flow" });
      },
    },
    {
      frame: (n) => ({ title: "States: real part, layer by layer", height: 310, x: { min: 0, max: LAYERS, label: "layer", ticks: [0, 64, 128, 192, 256] }, y: { min: Math.min(-0.3, 1.25 * Math.min(...n.exact.map((u) => u[0]))), max: 1.25 * Math.max(1, ...n.exact.map((u) => u[0])), label: "Re u" } }),
      draw(plot, n, { cycle }, { ghost }) {
        plot.line(range(LAYERS + 1), [1, ...n.exact.map((u) => u[0])], { color: "grey", dash: "5 4", label: "one after the other" });
        if (ghost && ghost.numbers.states.length) plot.line(range(LAYERS).map((j) => j + 1), ghost.numbers.states[ghost.settings.cycle].map((u) => u[0]), { color: "blue", faint: true, width: 1.4 });
        for (let b = 0; b < n.K; b++) plot.line(range(n.c).map((k) => b * n.c + k + 1), n.states[cycle].slice(b * n.c, (b + 1) * n.c).map((u) => u[0]), { color: "blue", label: "blocks, all at the same time" });
        plot.dots(range(n.K).map((b) => (b + 1) * n.c), n.all[cycle].map((u) => u[0]), { color: "orange", size: 3.4, label: "where the next block starts" });
      },
    },
    {
      wide: true,
      frame: () => ({ title: "Largest error over the steps done in sequence", height: 190, x: { min: 0, max: 400, label: "steps one after the other" }, y: { min: 1e-16, max: 10, log: true, label: "largest error" } }),
      draw(plot, n, { cycle }, { ghost }) {
        const at = range(CYCLES + 1);
        plot.upright(LAYERS, { color: "grey", label: "256 layers one after the other" });
        plot.across(1e-6, { color: "grey", width: 1, dash: "2 4", label: "six digits" });
        if (ghost) plot.line(at.map(ghost.numbers.inSequence), ghost.numbers.worst.map((e) => Math.max(e, 1e-16)), { color: "blue", faint: true });
        plot.line(at.map(n.inSequence), n.worst.map((e) => Math.max(e, 1e-16)), { color: "blue", width: 1.4 });
        plot.dots(at.map(n.inSequence), n.worst.map((e) => Math.max(e, 1e-16)), { color: "blue", size: 3, label: "after each cycle" });
        plot.dots([n.inSequence(cycle)], [Math.max(n.worst[cycle], 1e-16)], { color: "ink", size: 6, shape: "ring", label: "now" });
      },
    },
  ],
  table: (n) => ({ head: ["cycle", "largest error", "error of layer 256", "exact layers", "steps in sequence"], rows: range(9).map((k) => [k, say(n.worst[k]), say(n.errors[k].at(-1)), Math.min((k + 1) * n.c, LAYERS), n.inSequence(k)]) }),
  claims: (n, s) => [
    { sentence: `After ${s.cycle} cycles the first ${n.front} layers are exact.`, holds: Math.max(...n.now.slice(0, n.front)) < 1e-12, found: `Their largest error is ${say(Math.max(...n.now.slice(0, n.front)))}.`, why: "Only rounding can break this one." },
    { sentence: "Each of the first three cycles makes the largest error at least five times smaller.", holds: range(3).every((k) => n.worst[k + 1] <= 0.2 * n.worst[k] || n.worst[k + 1] < 1e-12), found: `The errors are ${n.worst.slice(0, 4).map((e) => say(e)).join(", ")}.`, why: `It needs coarse steps that resemble ${n.c} fine ones. Here their factors differ by ${say(size(minus(n.exact[n.c - 1], euler(s.flow, (n.c * TIME) / LAYERS))))}.` },
    { sentence: "Six digits take fewer steps in sequence than 256.", holds: n.inSequence(n.needed) < LAYERS, found: `They take ${n.needed} cycles, ${n.inSequence(n.needed)} steps.`, why: "The cycles cost more than they save, because there are too many of them or the blocks are too long or too short. With well chosen blocks a cycle costs about twice the square root of the depth, so deeper networks gain more." },
    { sentence: "The last layer is as good as the others.", holds: n.now.at(-1) <= 1.5 * (n.now.reduce((a, b) => a + b) / LAYERS) || n.now.at(-1) < 1e-12, found: `Its error is ${say(n.now.at(-1))}, the mean error ${say(n.now.reduce((a, b) => a + b) / LAYERS)}.`, why: "The front starts at the first layer, and errors are carried along: a loss that looks at the last layer sees the worst of them." },
  ],
  text: [
    "## A cycle",
    "The network is $u_{j+1} = \\Phi\\,u_j$ with $\\Phi = 1 + h\\lambda$, $u_0 = 1$, 256 layers. Cut it into blocks of $m$ layers. One *coarse* step $\\Psi = 1 + mh\\lambda$ stands for a block; a march of coarse steps gives the first guess of where each block starts, $U_j$.",
    "Then repeat: run all blocks *at the same time* from their guessed starts, which takes $m$ steps in sequence, and compare the end of each block with the start of the next. The coarse march carries these gaps along, and corrects the starts:",
    "$$ U_{j+1}^{\\text{new}} = \\Psi\\,U_j^{\\text{new}} + \\bigl(\\Phi^m U_j - \\Psi\\,U_j\\bigr) . $$",
    "That is parareal, which is also multigrid in time on two levels with F-relaxation. The bracket is what the coarse step got wrong, measured with the old start. Where $U_j^{\\text{new}} = U_j$ the two coarse steps cancel, and the exact block remains.",
    "## When it works",
    "The first block starts from the truth, so after one cycle the second does too: after $k$ cycles the first $(k+1)\\,m$ layers are exact, whatever the flow. That alone would be no gain. The gain comes when $\\Psi$ resembles $\\Phi^m$: the smaller $|\\Phi^m - \\Psi|$, the more a cycle gains. A long step resembles a slow flow well, growing or decaying. A turning flow it does not: the error of a long Euler step is a turn too far and a growth, and once the coarse step leaves the stability region the correction is useless.",
    "The gradient is computed the same way, backwards. A training that stops after few cycles sees a slightly wrong loss and a slightly wrong gradient; numdl estimates that bias and takes as many cycles as keep it small.",
  ],
  code: (s) => `
import numpy as np

flow = {"decaying": -1.0, "turning": 1.5j, "growing": 0.5}["${s.flow}"]
m, layers, cycles = ${s.factor}, 256, ${s.cycle}
h, blocks = 4 / layers, layers // m
fine, coarse = 1 + h * flow, 1 + m * h * flow

U = coarse ** np.arange(1.0, blocks + 1)  # ends of the blocks, first guess
for _ in range(cycles):
    starts = np.append(1.0, U[:-1])
    after = fine**m * starts  # all blocks at the same time
    gap = after - coarse * starts
    u = 1.0
    for j in range(blocks):  # coarse march
        u = coarse * u + gap[j]
        U[j] = u
exact = fine ** np.arange(m, layers + 1, m)
print(*np.abs(U - exact))
`,
  prints: (n, s) => n.all[s.cycle].map((u, j) => size(minus(u, n.exact[(j + 1) * n.c - 1]))),
  exercises: [
    { ask: "With blocks of 16 layers: how many cycles does the decaying flow need until the largest error is below $10^{-6}$?", input: "cycles", right: 5, wrong: 8,
      check: ({ answer }) => { const { needed } = compute({ flow: "decaying", factor: "16", cycle: 0 }); return { passed: Math.round(answer) === needed, say: Math.round(answer) === needed ? `Passed: ${needed}. The turning flow needs ${compute({ flow: "turning", factor: "16", cycle: 0 }).needed}, the growing one ${compute({ flow: "growing", factor: "16", cycle: 0 }).needed}.` : "Choose the decaying flow and take cycles until the number in the sentence is small enough." }; } },
    { ask: "A network of 1000 layers in blocks of 10. After how many cycles is it exact at the latest, whatever the flow?", input: "cycles", right: 99, wrong: 10,
      check: ({ answer }) => ({ passed: Math.round(answer) === 99, say: Math.round(answer) === 99 ? "Passed: the first block is exact from the start, and each cycle adds one of the other 99." : Math.round(answer) === 100 ? "Nearly: the first block starts from the truth before any cycle." : "Each cycle makes one more block exact." }) },
  ],
  sources: [
    "R. Falgout and others, Parallel time integration with multigrid, *SIAM Journal on Scientific Computing* 36 (2014).",
    "S. Günther, L. Ruthotto, J. Schroder, E. Cyr and N. Gauger, Layer-parallel training of deep residual neural networks, *SIAM Journal on Mathematics of Data Science* 2 (2020).",
    "In numdl: `numdl experiment run layer-parallel`, and `march=numdl.flow.LayerParallel()` in any residual network.",
  ],
  trials: Object.keys(FLOWS).flatMap((flow) => [["4", 3], ["8", 3], ["16", 3], ["32", 3], ["64", 3], ["16", 5], ["16", 8]].map(([factor, cycle]) => ({ flow, factor, cycle }))),
  compare: (n, s) => ({ ends: n.all[s.cycle].flat(), inner: n.states[s.cycle].filter((_, j) => (j + 1) % n.c).flat(), residuals: range(3).map((k) => Math.max(...n.all[k].map((u, j) => { const [x, y] = n.states[k][(j + 1) * n.c - 1]; return Math.max(Math.abs(x - u[0]), Math.abs(y - u[1])); })) / Math.max(1, ...n.all[k].flat().map(Math.abs))) }),
};
