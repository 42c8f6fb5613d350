// 3.4: where are the layers while a network trains?
import { spectra_data } from "../../data/spectra_data.mjs";
import { cabs, dot, eigenvalues, range, sum } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";
import { STEP } from "../../lib/schemes.mjs";

const DATA = spectra_data, SAMPLES = 16, RUNS = [["5", "5 layers of h = 2"], ["10", "10 layers of h = 0.5"], ["20", "20 layers of h = 0.25"]];
const MARCHES = [["finer", "eight Euler steps for one"], ["half", "two Euler steps for one"], ["rk4", "RK4 steps"]];
const PARTS = { own: 1, half: 2, finer: 8 };

const layer = (K, b, u) => K.map((row, i) => Math.tanh(dot(row, u) + b[i]));
const open = (net, x) => layer(net.K0, net.b0, x);
function step(K, b, h, u, how) {
  const f = (t, v) => layer(K, b, v);
  if (how === "rk4") return STEP.rk4(f, 0, u, h);
  for (let k = 0; k < PARTS[how]; k++) u = STEP.euler(f, 0, u, h / PARTS[how]);
  return u;
}
function score(net, h, x, how) {
  let u = open(net, x);
  for (let j = 0; j < net.K.length; j++) u = step(net.K[j], net.b[j], h, u, how);
  return dot(net.W[0].slice(0, -1), u) + net.W[0].at(-1);
}
const misfit = (net, h, x, c, how) => sum(x.map((row, i) => (score(net, h, row, how) - c[i][0]) ** 2)) / x.length;

const kept = {};
function curves(run, how) {
  return (kept[run + how] ??= { training: DATA.runs[run].nets.map((net) => misfit(net, DATA.runs[run].h, DATA.x, DATA.c, how)), test: DATA.runs[run].nets.map((net) => misfit(net, DATA.runs[run].h, DATA.xTest, DATA.cTest, how)) });
}

function spectrum(run, snapshot) {
  const { h, nets } = DATA.runs[run], net = nets[snapshot], all = [], layers = net.K.map(() => ({ outside: 0, growing: 0, largest: 0 }));
  for (const x of DATA.x.slice(0, SAMPLES)) {
    let u = open(net, x);
    net.K.forEach((K, j) => {
      const v = layer(K, net.b[j], u), J = K.map((row, i) => row.map((k) => (1 - v[i] ** 2) * k));
      for (const z of eigenvalues(J)) {
        const growing = z[0] > 1e-6, R = cabs([1 + h * z[0], h * z[1]]), outside = !growing && R > 1 + 1e-6; // below is rounding: eigenvalues may coincide
        layers[j].outside += outside; layers[j].growing += growing; layers[j].largest = Math.max(layers[j].largest, R);
        all.push({ z: [h * z[0], h * z[1]], kind: growing ? "growing" : outside ? "outside" : "inside" });
      }
      u = STEP.euler(() => v, 0, u, h);
    });
  }
  return { all, layers, h, total: sum(layers.map((l) => l.outside)), largest: Math.max(...layers.map((l) => l.largest)) };
}

const spectra = {};
function compute({ run, snapshot, march }) {
  const { all, layers, h, total, largest } = (spectra[`${run} ${snapshot}`] ??= spectrum(run, snapshot));
  const own = curves(run, "own"), other = curves(run, march).test, iterations = DATA.runs[run].nets.map((one) => one.iteration);
  return { all, layers, h, total, largest, own, other, iterations, at: snapshot, best: Math.min(...own.test.slice(0, snapshot + 1)), train: own.training[snapshot], test: own.test[snapshot], remarched: other[snapshot] };
}

const LAST = DATA.runs["5"].nets.length - 1, ITERATIONS = DATA.runs["5"].nets.map((one) => one.iteration);

export const page = {
  id: "3.4",
  question: "Where are the layers while a network trains?",
  goal: "You will watch the spectra of a network leave the stability region of its own steps, and see what that does to rows it has not seen.",
  minutes: 20,
  needs: "page 3.2: one layer, one factor R(hλ)",
  controls: {
    run: { kind: "choice", label: "network", options: RUNS, value: "5" },
    snapshot: { kind: "slider", label: "iteration", min: 0, max: LAST, value: 4, play: 700, show: (k) => String(ITERATIONS[k]) },
    march: { kind: "choice", label: "march the same weights with", options: MARCHES, value: "finer" },
  },
  hidden: {},
  guess: {
    ask: "A residual network with 5 long steps, $h=2$, trains on 100 noisy rows for 60 iterations. Its misfit on them falls from 0.83 to 0.008. Predicting the mean of all rows has misfit 1. What does the network's misfit on 200 other rows do?",
    options: ["it falls too, to about 0.02", "it falls to 0.7, then rises above 1", "it stays near 1"], answer: 1, see: { snapshot: 13 },
    why: "It reaches 0.70 after 8 iterations and ends at 1.8, worse than the mean. A network with 20 short steps ends at 0.13. Play the iterations of both.",
  },
  sentence: [
    "The network with [[run]], after [[snapshot]] iterations: {{outside}} of {{count}} eigenvalues decay in the differential equation and are blown up by the step. Misfit on its rows {{train}}, on other rows {{test}}; with the same weights and [[march]] it would be {{remarched}}.",
  ],
  breaks: [
    { label: "Iteration 16, long steps", patch: { run: "5", snapshot: 7 }, why: "36 red crosses: there the step overshoots zero and comes out larger on the other side. Finer steps with these weights do not overshoot, and give an answer 60 times worse, because the fit was made of overshoots." },
    { label: "After training, short steps", patch: { run: "20", snapshot: LAST }, why: "The misfit on its own rows is even smaller than that of the long steps, nothing is blown up, and finer steps change little: this network has learnt a flow." },
  ],
  compute,
  values: (n) => ({ outside: String(n.total), count: String(n.all.length), train: say(n.train), test: say(n.test), remarched: say(n.remarched) }),
  views: [
    {
      frame: () => ({ title: "Eigenvalues hλ of 16 rows in all layers", equal: true, height: 420, x: { min: -3.2, max: 3.4, label: "Re hλ" }, y: { min: -3.6, max: 3.6, label: "Im hλ" } }),
      draw(plot, n, s, { ghost }) {
        plot.region((x, y) => (1 + x) ** 2 + y ** 2 - 1, { color: "blue", label: "Euler keeps it down" });
        plot.line([0, 0], [plot.y.min, plot.y.max], { color: "grey", width: 1 });
        const show = (from, faint) => {
          for (const [kind, color, shape, label] of [["growing", "grey", "ring", "grows by itself"], ["inside", "green", "circle", "decays, and is kept down"], ["outside", "red", "cross", "decays, but the step blows it up"]]) {
            const some = from.filter((one) => one.kind === kind);
            plot.dots(some.map((o) => o.z[0]), some.map((o) => o.z[1]), { color, shape, size: 3, faint, label: faint ? "" : label });
          }
        };
        if (ghost && ghost.settings.run === s.run) show(ghost.numbers.all.filter((o) => o.kind === "outside"), true);
        show(n.all, false);
        const beyond = n.all.filter((o) => o.z[0] < plot.x.min || o.z[0] > plot.x.max || Math.abs(o.z[1]) > plot.y.max).length;
        if (beyond) plot.note(plot.x.min, plot.y.max, `${beyond} more lie outside the figure`, { color: "red", dx: 8, dy: 16 });
      },
    },
    {
      frame: () => ({ title: "Misfit while it trains", height: 420, x: { min: 0, max: ITERATIONS[LAST], label: "iteration" }, y: { min: 1e-4, max: 1e3, log: true, label: "mean squared error" } }),
      draw(plot, n, s, { change }) {
        plot.line(n.iterations, n.own.training, { color: "green", label: "training rows" });
        plot.line(n.iterations, n.own.test, { color: "blue", label: "other rows" });
        plot.line(n.iterations, n.other, { color: "purple", dash: "6 3", label: "other rows, marched otherwise" });
        const to = (x) => n.iterations.reduce((k, i, j) => (Math.abs(i - x) < Math.abs(n.iterations[k] - x) ? j : k), 0);
        plot.handle("at", n.iterations[n.at], n.test, { upright: true, color: "ink", label: "iteration", value: String(n.iterations[n.at]), move: (x) => change({ snapshot: to(x) }), nudge: (dx, dy) => change({ snapshot: s.snapshot + dx + dy }) });
      },
    },
  ],
  table: (n) => ({ head: ["layer", "blown up", "growing by themselves", "largest |1 + hλ|"], rows: n.layers.map((l, j) => [j + 1, `${l.outside} of 64`, l.growing, say(l.largest)]) }),
  claims: (n, s) => [
    { sentence: "Every layer keeps down what decays.", holds: n.total === 0, found: `${n.total} of ${n.all.length} eigenvalues are blown up; the largest factor of all is ${say(n.largest)}.`, why: `It needs $|1 + h\\lambda| \\le 1$. Nothing in the training asks for that: the weights grow until they fit, whatever $h = ${n.h}$ makes of them.` },
    { sentence: "The network is about as good on other rows as it has been so far.", holds: n.test <= 1.1 * n.best, found: `Misfit now ${say(n.test)}, best so far ${say(n.best)}.`, why: "It still improves on its own rows. What it adds there are jumps of single steps, which do not carry over." },
    { sentence: "Finer steps with the same weights change the misfit by less than a factor 2.", holds: n.remarched < 2 * n.test && n.test < 2 * n.remarched, found: `${say(n.test)} becomes ${say(n.remarched)}.`, why: "The weights work for these steps only. What was learnt is a list of jumps, not a differential equation." },
    { sentence: "It is better on other rows than predicting the mean.", holds: n.test < 1, found: `Misfit ${say(n.test)}; the mean has about 1.`, why: n.iterations[n.at] < 5 ? "Training has only begun." : "All that it has learnt belongs to its own rows." },
  ],
  text: [
    "## What you see",
    "Layer $j$ does $u \\leftarrow u + h \\tanh(K_j u + b_j)$, one Euler step. Near the state of one row it acts like its Jacobian $J = \\operatorname{diag}(\\tanh')\\,K_j$, and each eigenvalue $\\lambda$ of $J$ gives one dot, at $h\\lambda$: 16 rows, 5 layers, 4 eigenvalues make 320 dots. Each of them is multiplied by $1 + h\\lambda$ in that layer.",
    "Dots on the right of the axis grow in the differential equation $u' = \\tanh(Ku+b)$ as well. A network may want that: it pulls points apart. Dots on the left should shrink. Those on the left but outside the disc are the trouble: the differential equation lets them decay, and the step overshoots zero and comes out larger on the other side.",
    "$$ \\operatorname{Re}\\lambda \\le 0 \\quad\\text{and}\\quad |1 + h\\lambda| > 1 $$",
    "Growing dots matter as well when steps are long: a factor 4 a layer makes 1000 in five layers, and small differences between rows become large. With short steps each layer can only do a little.",
    "The training sees none of this. It only sees the misfit on its rows. Two tests show it: rows that were held out, and finer steps with the same weights. A network that has learnt a differential equation passes the second test, because finer steps only come closer to it.",
    "The remedies are those of page 3.2: shorter steps, a scheme with a larger region, or weights whose eigenvalues cannot leave it. This is one pair of networks, not a law: short steps make it easier to learn a flow, they do not force it. The middle network, with $h = 0.5$, is in between.",
  ],
  codeNote: "The snapshots come with numdl, which trained them (`numdl.course.site.grids.spectra`, Levenberg-Marquardt with the head eliminated). This prints the largest factor of each layer; `numdl.analysis.stability.stability_report` does it for any network.",
  code: (s) => `
import numpy as np
from numdl.course.site import grids

data = grids.read("spectra_data")
run = data["runs"]["${s.run}"]
net = {name: np.array(value) for name, value in run["nets"][${s.snapshot}].items()}

h = run["h"]
u = np.tanh(np.array(data["x"])[:16] @ net["K0"].T + net["b0"])
for K, b in zip(net["K"], net["b"]):
    v = np.tanh(u @ K.T + b)
    J = (1 - v**2)[:, :, None] * K  # one Jacobian for each row
    z = h * np.linalg.eigvals(J)
    print(np.abs(1 + z).max())
    u = u + h * v
`,
  prints: (n) => n.layers.map((l) => l.largest),
  exercises: [
    { ask: "Find the first iteration shown at which the network with 5 long steps has a test misfit more than 1.1 times its best so far.", input: "iteration", right: 16, wrong: 60,
      check: ({ answer }) => {
        const test = curves("5", "own").test, k = test.findIndex((t, i) => t > 1.1 * Math.min(...test.slice(0, i + 1))), n = compute({ run: "5", snapshot: k, march: "finer" });
        const passed = Math.round(answer) === ITERATIONS[k];
        return { passed, say: passed ? `Passed. By then ${n.total} eigenvalues are blown up, and the largest factor of a layer is ${say(n.largest)}.` : "Step through the iterations with the arrow keys and watch the second claim." };
      } },
    { ask: "An eigenvalue $\\lambda = -1.5$, step $h = 2$: by what factor does one layer multiply it, sign included?", input: "factor", right: -2, wrong: 2,
      check: ({ answer }) => { const passed = Math.abs(answer + 2) < 1e-9; return { passed, say: passed ? "Passed: $1 + h\\lambda = 1 - 3 = -2$. It comes out twice as large, on the other side." : Math.abs(answer - 2) < 1e-9 ? "The size is right; the sign says on which side it comes out." : "$1 + h\\lambda$." }; } },
  ],
  sources: [
    "E. Haber and L. Ruthotto, Stable architectures for deep neural networks, *Inverse Problems* 34 (2018), section 3.",
    "In numdl: `numdl check run data.csv` draws the same picture for a network of yours; `numdl experiment run stability-toy` shows the landscape of such a misfit.",
  ],
  tolerance: 1e-7, // eigenvalues that nearly coincide are known to the root of rounding only
  trials: RUNS.flatMap(([run], k) => [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, LAST], [0, 3, 6, 8, 10, LAST], [6, LAST]][k].map((snapshot, i) => ({ run, snapshot, march: MARCHES[k === 2 ? 1 : i % 3][0] }))),
  compare: (n) => ({ largest: n.layers.map((l) => l.largest), outside: n.layers.map((l) => l.outside), real: n.all.map((o) => o.z[0]).sort((a, b) => a - b), imaginary: n.all.map((o) => Math.abs(o.z[1])).sort((a, b) => a - b), misfits: [n.train, n.test], remarched: n.remarched }),
};
