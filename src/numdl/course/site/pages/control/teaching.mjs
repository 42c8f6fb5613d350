// 3.14: can shallow networks teach deep ones?
import { levels_data } from "../../data/levels_data.mjs";
import { argmin, dot, norm, range, sum } from "../../lib/numerics.mjs";
import { rows, units } from "../../lib/peaks.mjs";
import { say } from "../../lib/plot.mjs";
import { STEP } from "../../lib/schemes.mjs";

const SCHEDULES = [["rule", "when the rule says so"], ["5", "after 5 iterations each"], ["15", "after 15 iterations each"]], TIMES = [["1", "a short time, T = 1"], ["4", "a long time, T = 4"]];
const COLORS = ["orange", "green", "blue"], ENTRIES = 10, DEEP = 16;

// Entries below the diagonal, row by row: numdl.flow.dynamics.antisymmetric.matrix.
const matrix = (a) => [[0, -a[0], -a[1], -a[3]], [a[0], 0, -a[2], -a[4]], [a[1], a[2], 0, -a[5]], [a[3], a[4], a[5], 0]];
const twice = (list) => list.flatMap((one) => [one, one]);

// Half the mean square of the misfit on some rows, each layer an Euler step of length T / depth.
function misfit(net, T, a, b, x, c) {
  const As = a.map(matrix), h = T / a.length, head = net.W[0];
  return sum(x.map((row, i) => {
    let u = units({ K: net.K0, b: net.b0 }, row);
    As.forEach((A, j) => { u = STEP.euler((t, v) => A.map((r, k) => Math.tanh(dot(r, v) + b[j][k])), 0, u, h); });
    return (dot(u, head) + head.at(-1) - c[i]) ** 2;
  })) / x.length / 2;
}
const kept = {};
function look(run, T) {
  return (kept[`${run} ${T}`] ??= levels_data[run].levels.map((net) => {
    const { x, c, xTest, cTest, spread } = rows();
    return { depth: net.depth, iterations: net.iterations, own: misfit(net, T, net.a, net.b, x, c), doubled: misfit(net, T, twice(net.a), twice(net.b), x, c), error: Math.sqrt(2 * misfit(net, T, net.a, net.b, xTest, cTest)) / spread };
  }));
}
const before = (work) => [0, ...work.slice(0, -1)]; // entry i of the objective belongs to the point that iteration i left
const relative = (from, to) => { const moved = to.flatMap((row, j) => row.map((v, k) => v - from[Math.floor(j / 2)][k])); return norm(moved) / norm(twice(from).flat()); };

function compute({ schedule, time, step, seed, entry }) {
  const T = Number(time), name = `${schedule} ${time} ${seed}`, run = levels_data[name], alone = levels_data[`one ${time} ${seed}`], levels = look(name, T);
  const cost = before(run.work), target = alone.objective.at(-1), full = before(alone.work).at(-1), at = Math.min(step, run.objective.length - 1);
  const ends = levels.map((_, k) => sum(levels.slice(0, k + 1).map((l) => l.iterations))), level = ends.findIndex((end) => at < end), start = ends.at(-2);
  const first = run.objective.findIndex((o, i) => i >= start && o <= target), weight = run.levels.map((net) => [...net.a.map((_, j) => [...net.a[j], ...net.b[j]][entry])]);
  return {
    run, alone, levels, cost, aloneCost: before(alone.work), target, full, at, level, ends, paid: first < 0 ? Infinity : cost[first], now: run.objective[at], spent: cost[at], end: run.objective.at(-1), weight,
    jump: Math.max(...levels.slice(0, -1).map((l) => Math.max(l.doubled / l.own, l.own / l.doubled))), moved: relative(run.levels[1].a, run.levels[2].a),
  };
}

export const page = {
  id: "3.14",
  question: "Can shallow networks teach deep ones?",
  goal: "You will train 4 layers, hand their weights to 8 and then to 16, and see when that pays and when the pupils must forget what they were taught.",
  minutes: 20,
  needs: "page 3.1: layers are steps of a differential equation, weights are functions of time",
  controls: {
    step: { kind: "slider", label: "iteration", min: 0, max: 59, value: 0, play: 220, show: (k) => String(k) },
    schedule: { kind: "choice", label: "when a level is left", options: SCHEDULES, value: "rule" },
    time: { kind: "choice", label: "time that the layers divide", options: TIMES, value: "1" },
  },
  hidden: { seed: 0, entry: 0 },
  guess: {
    ask: "A network of 16 layers is trained for 40 iterations, which costs 161 passes through its layers. Now 4 layers begin, 8 go on and 16 end, until the misfit is the same. A pass through 4 layers costs a quarter. How many passes through 16 layers does that cost, from the same start?",
    options: ["about 160: the deep one has to learn by itself", "about 120", "about 40"], answer: 2, hides: ["paid"],
    why: "It takes 37, all of them spent on 4 and 8 layers: their weights, given to 16 layers, are better at once than what 16 layers have learnt by themselves. From another start, and with longer steps, the same schedule never gets there: look for it below.",
  },
  sentence: [
    "Start no. {{start}}. The layers divide [[time]], and the number of layers is doubled [[schedule]]: iteration [[step]] is spent on {{depth}} layers, at a misfit of {{now}} after {{spent}} passes through 16 layers. What 16 layers alone reach with {{full}} passes is reached with {{paid}}.",
  ],
  breaks: [
    { label: "Long steps", patch: { time: "4", schedule: "rule", seed: 2, step: 59 }, why: "Four layers of length 1 are no approximation of eight layers of length 1/2: what they have learnt is a list of jumps, and the misfit rises each time the steps are halved. The deep network ends far behind the one that was never taught." },
    { label: "Another start", patch: (s) => ({ seed: (s.seed + 1) % 3 }), why: "Three starts are shown. The landscape has many valleys, and the shallow network chooses one." },
    { label: "Another weight", patch: (s) => ({ entry: (s.entry + 1) % ENTRIES }) },
  ],
  compute,
  values: (n, s) => ({ start: String(s.seed + 1), depth: String(n.levels[n.level].depth), now: say(n.now), spent: say(n.spent), full: say(n.full), paid: Number.isFinite(n.paid) ? say(n.paid) : "no number of them here" }),
  views: [
    {
      wide: true,
      frame: () => ({ title: "Objective over work", height: 290, x: { min: 0, max: 215, label: "passes through 16 layers" }, y: { min: 1e-4, max: 1, log: true, label: "objective" } }),
      draw(plot, n, s, { change, open }) {
        plot.across(n.target, { label: "where 16 layers alone end" });
        plot.line(n.aloneCost, n.alone.objective, { color: "grey", label: "16 layers alone" });
        if (open) n.levels.forEach((l, k) => { // they answer the guess
          const from = k ? n.ends[k - 1] : 0, part = (a) => a.slice(from, n.ends[k]);
          plot.line(part(n.cost), part(n.run.objective), { color: COLORS[k], label: `${l.depth} layers` });
          if (k) plot.line([n.cost[from - 1], n.cost[from]], [n.run.objective[from - 1], n.run.objective[from]], { color: COLORS[k], dash: "2 3", width: 1.4 });
        });
        plot.handle("at", n.spent, n.now, { upright: true, color: "ink", label: "iteration", value: String(n.at), move: (x) => change({ step: argmin(n.cost.map((c) => Math.abs(c - x))) }), nudge: (dx, dy) => change({ step: n.at + dx + dy }) });
      },
    },
    {
      frame: (n, s) => { const all = n.weight.flat(), low = Math.min(...all), high = Math.max(...all), room = 0.08 * (high - low); return { title: `Weight no. ${s.entry + 1} as a function of time`, height: 290, x: { min: 0, max: Number(s.time), label: "time t" }, y: { min: low - room, max: high + room, label: "weight at the end of a level" } }; },
      draw(plot, n, s) {
        n.weight.forEach((values, k) => { const h = Number(s.time) / values.length; plot.line(values.flatMap((_, j) => [j * h, (j + 1) * h]), twice(values), { color: COLORS[k], width: k === n.level ? 2.6 : 1.6, label: `${values.length} layers` }); });
      },
    },
    {
      frame: () => ({ title: "What the rule compares", height: 290, x: { min: 0, max: 40, label: "iteration" }, y: { min: 1e-4, max: 1, log: true, label: "change of the objective" } }),
      draw(plot, n) {
        const at = range(n.run.error.length).filter((i) => n.run.error[i] !== null), pick = (a) => at.map((i) => a[i]);
        plot.line(at, pick(n.run.error), { color: "purple" }); plot.dots(at, pick(n.run.error), { color: "purple", shape: "square", label: "by halving the steps" });
        plot.line(at, pick(n.run.gained), { color: "grey" }); plot.dots(at, pick(n.run.gained), { color: "grey", label: "gained by the last iterations" });
        for (const end of n.ends.slice(0, -1)) plot.upright(end - 1);
      },
    },
  ],
  table: (n) => ({ head: ["layers", "iterations", "misfit", "the same weights, twice the layers", "error on new rows / spread"], rows: n.levels.map((l) => [l.depth, l.iterations, say(l.own), say(l.doubled), say(l.error)]) }),
  claims: (n, s) => [
    { sentence: "The shallow levels save at least a third of the passes.", holds: n.paid <= (2 / 3) * n.full, found: Number.isFinite(n.paid) ? `${say(n.paid)} passes instead of ${say(n.full)}: ${say(100 * (1 - n.paid / n.full), 2)} % saved.` : `It ends at ${say(n.end)} and does not reach ${say(n.target)}.`, why: s.time === "4" ? "Long steps: the coarse network solves another problem than the fine one." : "From this start the shallow network has found another valley, and the deep one stays in it." },
    { sentence: "Halving the steps changes the misfit by less than a factor 2.", holds: n.jump < 2, found: `At the worse of both refinements the factor is ${say(n.jump)}.`, why: s.schedule === "15" ? "It was trained beyond what coarse steps can tell: the last digits that it has gained belong to its own steps." : "The weights are large and bend the path within one step. What is gained there belongs to the steps, not to the equation." },
    { sentence: "In the end it is at least as good as 16 layers alone.", holds: n.end <= n.target, found: `${say(n.end)} against ${say(n.target)}.`, why: "A good start for the deep network is not a better valley. Another schedule, or another start, may find one." },
    { sentence: "The deep network keeps more than half of what it was taught.", holds: n.moved < 0.5, found: `From 8 to 16 layers the weights have moved by ${say(100 * n.moved, 2)} % of their size.`, why: "As functions of time they have become others: they had to be learnt again." },
  ],
  text: [
    "## Weights are functions of time",
    "Layer $j$ does $u \\leftarrow u + h\\tanh(A_ju+b_j)$ with $h = T/n_t$ and an antisymmetric $A_j$: a step of $u' = \\tanh(A(t)u+b(t))$. If the steps are short, 4 and 8 layers stand for nearly the same equation, and the weights of one tell those of the other:",
    "$$ \\theta_{2n_t} = P\\,\\theta_{n_t}, $$",
    "where $P$ repeats each layer (or interpolates between them). With twice the layers and half the step the network does nearly what it did before, at twice the cost. So one may train where it is cheap and refine later: the staircases of the figure get finer steps.",
    "How long should a level be trained? Coarse steps have an error of their own, $e = |J_{2n_t}(P\\theta) - J_{n_t}(\\theta)|$, which costs one evaluation of the finer network. If the last $w$ iterations have gained less than $e$, the level is left: what it could still gain is smaller than what it cannot see. This is the rule of nested iteration: bring the error of the iteration below that of the discretisation, and not further. Here it looks every 5 iterations.",
    "*When it fails.* The misfit jumps up if the weights are so large that one step of the coarse network is no step of the finer one, page 3.7. The shallow network may also choose a valley that the deep one would not. Three starts with two lengths of time are shown, and each schedule reaches the goal from three of these six: it is more often a good start than a good end.",
  ],
  codeNote: "It prints the misfit of the level at your iteration, and that of twice as many layers with the same weights. `numdl.course.site.watched.taught` trains these networks.",
  code: (s) => { const n = compute(s); return `
import jax
from numdl.course.site import grids
from numdl.course.site.watched import network_of, peaks_rows
from numdl.models import prolonged, refined

run = grids.read("levels_data")["${s.schedule} ${s.time} ${s.seed}"]
(x, c), _ = peaks_rows(seed=0)
with jax.enable_x64(True):
    net, theta, W = network_of(run["levels"][${n.level}], T=${s.time})
    for deep, p in ((net, theta), (refined(net), prolonged(net, theta))):
        u = jax.vmap(deep, (None, 0))(p, x)
        print(((u @ W[:, :-1].T + W[:, -1] - c) ** 2).mean() / 2)
`; },
  prints: (n) => [n.levels[n.level].own, n.levels[n.level].doubled],
  exercises: [
    { ask: "An iteration costs one pass through its own layers. 20 iterations are made on 4 layers, 10 on 8 and 8 on 16. How many passes through 16 layers is that?", input: "passes", right: 18, wrong: 38,
      check: ({ answer }) => ({ passed: Math.abs(answer - 18) < 1e-9, say: Math.abs(answer - 18) < 1e-9 ? "Passed: $20/4 + 10/2 + 8$. All 38 on 16 layers would be 38." : answer === 38 ? "Those would be 38 iterations on 16 layers. Shallow ones are cheaper." : "A pass through 4 layers costs a quarter." }) },
    { ask: "Short time, and the rule decides. From one of the three starts the three levels never reach what 16 layers alone reach. Which?", input: "start no.", right: 2, wrong: 1,
      check: ({ answer }) => {
        const missed = [0, 1, 2].filter((seed) => !Number.isFinite(compute({ schedule: "rule", time: "1", step: 0, seed, entry: 0 }).paid)), passed = missed.includes(Math.round(answer) - 1);
        return { passed, say: passed ? "Passed: there the shallow network has found a valley with a higher floor." : "Press “Another start”, and read the first claim." };
      } },
  ],
  sources: [
    "B. Chang, L. Meng, E. Haber, F. Tung and D. Begert, Multi-level residual networks from dynamical systems view, *ICLR* 2018; E. Haber, L. Ruthotto, E. Holtham and S.-H. Jun, Learning across scales, *AAAI* 2018.",
    "P. Deuflhard, *Newton Methods for Nonlinear Problems*, Springer 2004, section 8.3: nested iteration and when to refine.",
    "In numdl: `numdl.optimize.minimize_cascadic`; `numdl experiment run multilevel` with 2000 rows and a stronger penalty saves more than 42 % in the median of five starts.",
  ],
  trials: SCHEDULES.flatMap(([schedule], i) => TIMES.flatMap(([time], j) => [0, 1, 2].flatMap((seed) => [0, 59].map((step, k) => ({ schedule, time, seed, step: step + (k ? 0 : 6 * (i + j)), entry: (i + 2 * j + 3 * seed) % ENTRIES }))))).filter((_, i) => i % 3 !== 1),
  compare: (n) => ({ own: n.levels.map((l) => l.own), doubled: n.levels.map((l) => l.doubled), error: n.levels.map((l) => l.error), paid: n.paid, spent: n.spent, moved: n.moved, weight: n.weight.flat() }),
};
