// 3.11: which way is shortest?
import { range } from "../../lib/numerics.mjs";
import { say } from "../../lib/plot.mjs";

// A path of 24 steps from the origin to a goal in time 1; an obstacle costs exp(-q/2), q = (distance to it / width)^2.
const N = 24, ITERATIONS = 150, SHAPES = { disc: { R: 0, w: 0.2, at: [0.6, -0.06] }, ring: { R: 0.5, w: 0.12, at: [0, 0] } }, PRICES = range(7).map((k) => 10 ** (k / 2 - 1));

const near = (x) => Math.round(Math.max(-1.6, Math.min(1.6, x)) * 100) / 100;
// Where the obstacle is: its own place and how far it was dragged.
const centre = (s) => [near(SHAPES[s.shape].at[0] + s.dx), near(SHAPES[s.shape].at[1] + s.dy)];

function obstacle({ R, w }, [cx, cy], [x, y, z]) {
  const a = x - cx, b = y - cy, r = Math.hypot(a, b), off = r - R, q = (off * off + z * z) / (w * w), W = Math.exp(-q / 2), k = -W / (w * w), along = r > 0 ? off / r : 0;
  return { W, slope: [k * along * a, k * along * b, k * z], stiff: (W * (1 + q)) / (w * w) };
}
// Least energy plus price: steps of Newton's kind, with the energy's own matrix and a bound of the obstacle's.
export function plan(s, price) {
  const { dims, gx, gy } = s, form = SHAPES[s.shape], middle = centre(s);
  let u = range(N + 1).map((i) => [(gx * i) / N, (gy * i) / N, dims === "3" ? 0.2 * Math.sin((Math.PI * i) / N) : 0]);
  for (let k = 0; k < ITERATIONS; k++) {
    const met = u.map((p) => obstacle(form, middle, p));
    const step = [0, 1, 2].map((d) => {
      const a = [0], b = [0], s = new Array(N + 1).fill(0);
      for (let i = 1; i < N; i++) {
        const g = N * (2 * u[i][d] - u[i - 1][d] - u[i + 1][d]) + (price / N) * met[i].slope[d], m = 2 * N + (price / N) * met[i].stiff - N * a[i - 1];
        a.push(N / m); b.push((N * b[i - 1] - g) / m);
      }
      for (let i = N - 1; i > 0; i--) s[i] = b[i] + a[i] * s[i + 1];
      return s;
    });
    u = u.map((p, i) => p.map((x, d) => x + step[d][i]));
  }
  const lengths = range(N).map((i) => Math.hypot(...[0, 1, 2].map((d) => u[i + 1][d] - u[i][d]))), length = lengths.reduce((s, x) => s + x, 0);
  return {
    u, lengths, length, energy: (N / 2) * lengths.reduce((s, x) => s + x * x, 0), leap: Math.max(...lengths) / (length / N),
    paid: (price / N) * u.slice(1, -1).reduce((s, p) => s + obstacle(form, middle, p).W, 0), height: Math.max(...u.map((p) => Math.abs(p[2]))),
  };
}
const kept = new Map();
function compute(s) {
  const key = ["shape", "dx", "dy", "gx", "gy"].map((name) => s[name]).join(" ");
  if (!kept.has(key)) { if (kept.size > 50) kept.clear(); kept.set(key, Object.fromEntries(["2", "3"].map((dims) => [dims, PRICES.map((price) => plan({ ...s, dims }, price))]))); }
  return { ...plan(s, s.price), all: kept.get(key), least: (s.gx ** 2 + s.gy ** 2) / 2, distance: Math.hypot(s.gx, s.gy) };
}

export const page = {
  id: "3.11",
  question: "Which way is shortest?",
  goal: "You will plan paths of least energy, bound their energy from below, and see what a plane forbids and one more dimension allows.",
  minutes: 15,
  needs: "page 3.1",
  controls: {
    shape: { kind: "choice", label: "obstacle", options: [["disc", "a round obstacle"], ["ring", "a ring around the start"]], value: "disc" },
    dims: { kind: "choice", label: "dimensions", options: [["2", "in the plane"], ["3", "with a third dimension"]], value: "2" },
    price: { kind: "slider", label: "price of the obstacle", min: 0.1, max: 100, log: true, step: 0.25, value: 3.162, play: 350, show: (x) => say(x) },
  },
  hidden: { dx: 0, dy: 0, gx: 1.2, gy: 0 },
  guess: {
    ask: "One class of points lies in a disc, the other in a ring around it. A residual network that follows a differential equation in the plane shall bring them to the two sides of a straight line. How wide must its layers be made?",
    options: ["the plane is enough, with the right weights", "one more dimension is needed", "as many dimensions as points"], answer: 1, see: { shape: "ring", price: 31.62 },
    why: "Paths of a flow never meet, so the image of the ring always stays around that of the disc, and no line passes between them. One more dimension lifts the disc out.",
  },
  sentence: [
    "Plan a path to the goal in the time 1, past [[shape]], [[dims]], where being in the obstacle costs [[price]] per time. Its energy is {{energy}}, and the least possible without obstacle is {{least}}. It pays {{paid}} for the obstacle, and its longest step is {{leap}} times its mean one.",
  ],
  breaks: [
    { label: "Locked in", patch: { shape: "ring", dims: "2", price: 31.62, dx: 0, dy: 0, gx: 1.2, gy: 0 }, why: "Every path in the plane crosses the ring. Steps are finite, so the planner leaps across where nobody looks: one layer does what no flow can." },
    { label: "One dimension more", patch: { shape: "ring", dims: "3", price: 31.62, dx: 0, dy: 0, gx: 1.2, gy: 0 }, why: "The path goes over the wall. The green line shows its height; no step leaps, and energy and price are lower." },
  ],
  compute,
  values: (n) => ({ energy: say(n.energy), least: say(n.least), paid: say(n.paid), leap: say(n.leap) }),
  views: [
    {
      frame: () => ({ title: "The path (goal and obstacle can be dragged)", equal: true, height: 400, x: { min: -0.8, max: 1.5, label: "u₁" }, y: { min: -1, max: 1, label: "u₂, and height" } }),
      draw(plot, n, s, { ghost, change }) {
        const form = SHAPES[s.shape], [ox, oy] = centre(s);
        plot.region((x, y) => 0.3 - obstacle(form, [ox, oy], [x, y, 0]).W, { color: "grey", cells: 70, label: "obstacle" });
        plot.line([0, s.gx], [0, s.gy], { color: "grey", dash: "6 4", width: 1.4, label: "straight" });
        if (ghost) plot.line(ghost.numbers.u.map((p) => p[0]), ghost.numbers.u.map((p) => p[1]), { color: "orange", faint: true, width: 1.4 });
        if (s.dims === "3") plot.line(n.u.map((p) => p[0]), n.u.map((p) => p[2]), { color: "green", width: 1.4, dash: "3 3", label: "its height" });
        plot.line(n.u.map((p) => p[0]), n.u.map((p) => p[1]), { color: "orange", width: 1.6 });
        plot.dots(n.u.map((p) => p[0]), n.u.map((p) => p[1]), { color: "orange", size: 2.6, label: "path, at equal times" });
        plot.dots([0], [0], { color: "ink", shape: "square", size: 4, label: "start" });
        const put = (x, y) => change({ dx: near(x - form.at[0]), dy: near(y - form.at[1]) });
        plot.handle("obstacle", ox, oy, { color: "grey", label: "obstacle", value: `${say(ox)}, ${say(oy)}`, move: put, nudge: (dx, dy) => put(ox + 0.02 * dx, oy + 0.02 * dy) });
        plot.handle("goal", s.gx, s.gy, { color: "purple", label: "goal", value: `${say(s.gx)}, ${say(s.gy)}`, move: (x, y) => change({ gx: near(x), gy: near(y) }), nudge: (dx, dy) => change({ gx: near(s.gx + 0.02 * dx), gy: near(s.gy + 0.02 * dy) }) });
      },
    },
    {
      frame: (n) => ({ title: "Energy and what is paid", height: 400, x: { min: 0.08, max: 125, log: true, label: "price of the obstacle per time" }, y: { min: 0, max: Math.max(1, Math.ceil(2.2 * Math.max(...n.all[2].map((one) => one.energy + one.paid), n.least)) / 2), label: "energy + price paid" } }),
      draw(plot, n, s) {
        plot.across(n.least, { label: "distance²/2" });
        for (const [dims, color, label] of [["2", "orange", "in the plane"], ["3", "green", "with a third dimension"]]) {
          plot.line(PRICES, n.all[dims].map((one) => one.energy), { color, width: 1.2, dash: "4 3" });
          plot.line(PRICES, n.all[dims].map((one) => one.energy + one.paid), { color, width: 1.8, label });
          plot.dots(PRICES, n.all[dims].map((one) => one.energy + one.paid), { color, size: 2.8 });
        }
        plot.line([NaN], [NaN], { color: "ink", dash: "4 3", label: "energy alone" });
        plot.dots([s.price], [n.energy + n.paid], { color: "ink", shape: "ring", size: 7, label: "now" });
      },
    },
  ],
  table: (n) => ({ head: ["price", "plane: energy", "paid", "longest step / mean", "space: energy", "paid", "height"], rows: PRICES.map((price, k) => [say(price), say(n.all[2][k].energy), say(n.all[2][k].paid), say(n.all[2][k].leap), say(n.all[3][k].energy), say(n.all[3][k].paid), say(n.all[3][k].height)]) }),
  claims: (n, s) => [
    { sentence: "The path is nearly the straight one: its energy is within 5 % of $\\tfrac12|d|^2$.", holds: n.energy <= 1.05 * n.least, found: `It is ${say(100 * (n.energy / Math.max(n.least, 1e-12) - 1))} % above.`, why: `The obstacle is worth a detour, or a leap. With its length ${say(n.length)} the path needs at least ${say(n.length ** 2 / 2)}.` },
    { sentence: "No step leaps: the longest is at most twice the mean one.", holds: n.leap <= 2, found: `It is ${say(n.leap)} times as long.`, why: "Between two places nobody pays. A leap is what a layer can do and a flow cannot; more and shorter steps would make it dearer." },
    { sentence: "The path keeps clear of the obstacle: it pays less than a quarter of its energy.", holds: n.paid < n.energy / 4, found: `It pays ${say(n.paid)} with the energy ${say(n.energy)}.`, why: s.shape === "ring" && s.dims === "2" ? "A closed wall has no way around it in the plane. With a third dimension there is one." : s.price < 10 ? "A cheap obstacle is driven through. Raise the price." : "It is the obstacle that holds the path in its bend." },
  ],
  text: [
    "## A bound that needs no path",
    "Let $u(t)$ go from $u(0)$ to $u(1)=u(0)+d$. By the inequality of Cauchy and Schwarz",
    "$$ \\tfrac12\\int_0^1|u'|^2\\,dt \\;\\ge\\; \\tfrac12\\Bigl(\\int_0^1|u'|\\,dt\\Bigr)^2 = \\tfrac12\\,\\text{length}^2 \\;\\ge\\; \\tfrac12|d|^2 . $$",
    "The first is an equation for constant speed only, the second for a straight path only. So among all ways of one length the even one is cheapest, and among all of them the straight one. Around an obstacle the energy cannot be below half of the square of the shortest way that is free.",
    "Training a network whose layers move points is such a plan for all its samples at once. A penalty on the energy asks for straight paths at constant speed, and those are the ones that few steps follow well.",
    "## With an obstacle",
    "If being at $u$ costs $\\mu W(u)$, least cost asks for $u'' = \\mu\\nabla W(u)$: the motion of a ball that rolls over *valleys* where the obstacle is, with the energy of motion $\\tfrac12|u'|^2-\\mu W(u)$ the same all along. Inside the obstacle it therefore hurries, and the dots lie further apart. The figure minimises the sum over 24 steps by steps of Newton's kind, and finds the nearest of several minima: drag the obstacle across the straight line, and the path jumps to the other side of it.",
    "## What a plane forbids",
    "A flow takes every point of the ring along a path, and none of these may meet the path of a point inside. So the image of the ring remains a closed curve around the image of the inside (Jordan), and every half plane that contains the whole ring contains the inside too. No weights change that. In the figure the ring rests, and the price of crossing it can be made as high as one likes; the planner then *leaps*. With one more dimension the ring no longer encloses anything, and the path goes over it. The round obstacle is a ball there: going over it is no shorter than around it, and the two curves coincide.",
    "A network gets that dimension from an opening layer, or from a zero that is appended to each input.",
  ],
  code: (s) => `
import numpy as np

N, price, c, goal = ${N}, ${s.price}, np.array([${centre(s)}, 0]), np.array([${s.gx}, ${s.gy}, 0])
R, w, lift = ${SHAPES[s.shape].R}, ${SHAPES[s.shape].w}, ${s.dims === "3" ? 0.2 : 0}
t = np.arange(N + 1)[:, None] / N
u = t * goal + lift * np.sin(np.pi * t) * np.array([0, 0, 1])
L = N * (2 * np.eye(N - 1) - np.eye(N - 1, k=1) - np.eye(N - 1, k=-1))  # the energy is a quadratic form

def obstacle(u):
    d = u - c
    r = np.hypot(d[:, 0], d[:, 1])
    q = ((r - R) ** 2 + d[:, 2] ** 2) / w**2
    bend = np.column_stack([(1 - R / r) * d[:, 0], (1 - R / r) * d[:, 1], d[:, 2]]) / w**2
    return np.exp(-q / 2), bend, (1 + q) / w**2

for _ in range(${ITERATIONS}):
    W, bend, stiff = obstacle(u[1:-1])
    slope = N * (2 * u[1:-1] - u[:-2] - u[2:]) - price / N * W[:, None] * bend
    u[1:-1] -= np.linalg.solve(L + price / N * np.diag(W * stiff), slope)
print(N / 2 * np.sum(np.diff(u, axis=0) ** 2), price / N * np.sum(obstacle(u[1:-1])[0]))
`,
  codeNote: "It prints the energy of the path and what it pays for the obstacle.",
  prints: (n) => [n.energy, n.paid],
  exercises: [
    { ask: "The shortest way around an obstacle has the length 1.5; the goal is 1.2 away. What is the least energy of a path that gets there in the time 1 without touching it?", input: "energy", right: 1.125, wrong: 0.72,
      check: ({ answer }) => ({ passed: Math.abs(answer - 1.125) < 0.006, say: Math.abs(answer - 1.125) < 0.006 ? "Passed: half of the square of the length, at constant speed." : Math.abs(answer - 0.72) < 0.006 ? "That is the straight line, which the obstacle forbids." : "At constant speed the energy is half of the square of the length." }) },
    { ask: "One class fills the disc $|x|<\\tfrac12$, the other the ring $1<|x|<\\tfrac32$ of the plane. How many dimensions must be added so that some flow brings them to two sides of a plane?", input: "dimensions", right: 1, wrong: 0,
      check: ({ answer }) => ({ passed: answer === 1, say: answer === 1 ? "Passed: $u_3' = 1 - |x|^2$ would do: after a short time the disc is above and the ring is below." : answer === 0 ? "In the plane the image of the ring goes around that of the disc at all times; a line that has the ring on one side has the disc there too." : "Fewer do: lift the points by a function of their distance from the middle." }) },
  ],
  sources: [
    "W. E, J. Han and Q. Li, A mean-field optimal control formulation of deep learning, *Research in the Mathematical Sciences* 6:10 (2019).",
    "D. Onken, S. Wu Fung, X. Li and L. Ruthotto, OT-Flow, *AAAI* 2021 (energy as a penalty).",
    "E. Dupont, A. Doucet and Y. W. Teh, Augmented neural ODEs, *NeurIPS* 2019 (what a plane forbids).",
    "In numdl: `numdl experiment run path-planning` trains flows with these penalties, `path-with-obstacles` plans around discs.",
  ],
  trials: ["disc", "ring"].flatMap((shape) => ["2", "3"].flatMap((dims) => [0.3162, 3.162, 31.62].flatMap((price) => [{}, { gx: 1, gy: 0.4, dx: -0.2, dy: 0.16 }].map((place) => ({ shape, dims, price, ...place }))))),
  compare: (n) => ({ path: n.u, energy: n.energy, paid: n.paid, leap: n.leap, curve: n.all[2].map((one) => one.energy) }),
};
