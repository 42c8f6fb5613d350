// 3.18: what is a stencil worth on other pixels?
import { product, range, transpose } from "../../lib/numerics.mjs";
import { counted, say } from "../../lib/plot.mjs";

// Stencils between a mean and one that training without a penalty might leave, on 8 pixels a side, carried over to 16.
const SMOOTH = [[1, 2, 1], [2, 4, 2], [1, 2, 1]].map((row) => row.map((x) => x / 16)), ROUGH = [[0.5, -0.7, 0.4], [-0.3, 0.9, -0.3], [0.4, -0.7, 0.5]];
const SIDE = 8, HOW = [["same", "as it is"], ["galerkin", "by Galerkin's product"], ["dilated", "dilated"], ["rediscretised", "as the same differential operator"]];
// Along one axis: taps on half of the pixels from those on all, and back.
const FINER = {
  same: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  galerkin: [[2, 0, 0], [-1, 1, -1], [0, 0, 2]],
  dilated: [[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]],
  rediscretised: [[3, 0, 1], [-3, 1, -3], [1, 0, 3]],
};
const COARSER = { 3: [[0.5, 0, 0], [0.5, 1, 0.5], [0, 0, 0.5]], 5: [[1, 0.5, 0, 0, 0], [0, 0.5, 1, 0.5, 0], [0, 0, 0, 0.5, 1]] };
const along = (M, K) => product(product(M, K), transpose(M));
export const carried = (how, K) => along(FINER[how], K);
// What waves along a row are multiplied by, f of them across an image of `pixels`; the stencils are even.
const gain = (K, pixels, f) => { const r = (K.length - 1) / 2; return K.reduce((t, row) => t + row.reduce((s, x, j) => s + x * Math.cos((2 * Math.PI * f * (j - r)) / pixels), 0), 0); };
const total = (K) => K.flat().reduce((t, x) => t + Math.abs(x), 0);
const WAVES = range(65).map((k) => k / 8);

function compute({ how, rough, waves }) {
  const K = SMOOTH.map((row, i) => row.map((x, j) => (1 - rough) * x + rough * ROUGH[i][j])), fine = carried(how, K), back = along(COARSER[fine.length], fine);
  const coarseGains = WAVES.filter((f) => f <= SIDE / 2).map((f) => gain(K, SIDE, f)), fineGains = WAVES.map((f) => gain(fine, 2 * SIDE, f)), largest = Math.max(...coarseGains.map(Math.abs));
  const coarse = gain(K, SIDE, waves), onFine = gain(fine, 2 * SIDE, waves);
  return {
    K, fine, back, coarseGains, fineGains, coarse, onFine, apart: Math.abs(coarse - onFine) / largest, before: total(K), after: total(fine), waves,
    lost: Math.max(...back.flatMap((row, i) => row.map((x, j) => Math.abs(x - K[i][j])))) / Math.max(...K.flat().map(Math.abs)),
  };
}
const low = (n) => Math.min(0, ...n.coarseGains, ...n.fineGains), high = (n) => Math.max(1, ...n.coarseGains, ...n.fineGains);

export const page = {
  id: "3.18",
  question: "What is a stencil worth on other pixels?",
  goal: "You will carry weights from coarse images to fine ones in four ways, and know what each of them keeps.",
  minutes: 20,
  needs: "page 2.7; derivatives as differences",
  controls: {
    how: { kind: "choice", label: "transfer", options: HOW, value: "galerkin" },
    rough: { kind: "slider", label: "roughness of the stencil", min: 0, max: 1, step: 0.05, value: 0.1, play: 300, show: (x) => `${Math.round(100 * x)} %` },
    waves: { kind: "slider", label: "waves across the image", min: 0, max: 4, step: 0.25, value: 1, show: (x) => counted(x, "wave") },
  },
  hidden: {},
  guess: {
    ask: "A network was trained on images of 8 × 8 pixels. The same pictures arrive with 16 × 16. Its stencils of 3 × 3 taps are used as they are. What do they see?",
    options: ["the same, with more detail", "half as far into the picture", "twice as far"], answer: 1, see: { how: "same", waves: 3 },
    why: "A stencil counts pixels. On pixels half as large its three taps span half the length, and a wave of the picture looks to it like one of half the frequency.",
  },
  sentence: [
    "A stencil that is [[rough]] of the way from a mean of its neighbours to what training may leave goes over to pixels of half the side [[how]]. [[waves]] across the image: the factor is {{coarse}} on the coarse pixels and {{onFine}} on the fine ones. The absolute values of its taps add up to {{before}} before and {{after}} after.",
  ],
  breaks: [
    { label: "A rough stencil", patch: { how: "galerkin", rough: 0.8, waves: 2 }, why: "Galerkin's taps undo a mean, which makes what varies from tap to tap larger: by 4 at the corners. A network whose stencils were never asked to be smooth is not meant for this." },
    { label: "As it is", patch: { how: "same", rough: 0.1, waves: 3 }, why: "The same taps on smaller pixels see the picture magnified: three waves are what one and a half were before." },
    { label: "Dilated", patch: { how: "dilated", rough: 0.8, waves: 3 }, why: "Every wave of the coarse image is treated as before, whatever the stencil is. The price is on the right of the figure: the finest wave of the fine pixels is taken for a constant." },
  ],
  compute,
  values: (n) => ({ coarse: say(n.coarse), onFine: say(n.onFine), before: say(n.before), after: say(n.after) }),
  views: [
    {
      frame: (n) => { const a = low(n), b = high(n), room = 0.08 * (b - a); return { title: "What a wave is multiplied by", height: 380, x: { min: 0, max: 8.2, label: "waves across the image" }, y: { min: a - room, max: b + room, label: "factor" } }; },
      draw(plot, n, s, { ghost }) {
        if (ghost) plot.line(WAVES, ghost.numbers.fineGains, { color: "orange", faint: true, label: "your last setting" });
        plot.upright(SIDE / 2, { label: "finest wave of the coarse pixels" });
        plot.line(WAVES, n.fineGains, { color: "orange", label: "16 × 16 pixels" });
        plot.line(WAVES.slice(0, n.coarseGains.length), n.coarseGains, { color: "blue", dash: "6 4", width: 2.4, label: "8 × 8 pixels" });
        plot.dots([n.waves], [n.onFine], { color: "orange", size: 5 });
        plot.dots([n.waves], [n.coarse], { color: "blue", shape: "ring", size: 7, label: "the wave of the sentence" });
      },
    },
    {
      frame: () => ({ title: "Both stencils, in the size of their pixels", equal: true, height: 380, x: { min: -3.4, max: 3.4, label: "length, in coarse pixels", ticks: [[-1.7, "8 × 8"], [1.7, "16 × 16"]] }, y: { min: -2.2, max: 2.2, label: "length, in coarse pixels" } }),
      draw(plot, n) {
        const most = Math.max(...n.K.flat().map(Math.abs), ...n.fine.flat().map(Math.abs));
        for (const [K, size, x] of [[n.K, 1, -1.7], [n.fine, 0.5, 1.7]]) {
          const m = K.length, edges = (at) => range(m + 1).map((i) => at + size * (i - m / 2));
          for (const [sign, color] of [[1, "blue"], [-1, "orange"]]) plot.heat(K.map((row) => row.map((v) => sign * v)), edges(x), edges(0), (v) => (v > 0 ? 0.1 + (0.9 * v) / most : 0), { color });
          const r = (size * m) / 2;
          plot.line([x - r, x + r, x + r, x - r], [-r, -r, r, r], { color: "grey", width: 1, close: true });
          K.forEach((row, i) => row.forEach((v, j) => v !== 0 && size === 1 && plot.note(x + size * (j - 1), size * (i - 1), say(v, 2), { color: "ink", anchor: "middle", dy: 4 })));
        }
        plot.name("positive taps", "blue", "area");
        plot.name("negative taps", "orange", "area");
      },
    },
  ],
  table: (n) => ({ head: ["waves across the image", "factor on 8 × 8", "factor on 16 × 16"], rows: range(9).map((f) => [f, f <= 4 ? say(n.coarseGains[8 * f]) : "not there", say(n.fineGains[8 * f])]) }),
  claims: (n, s) => [
    { sentence: "The wave of the sentence is treated alike on both images, within 5 % of the largest factor.", holds: n.apart <= 0.05, found: `The factors are ${say(n.coarse)} and ${say(n.onFine)}.`, why: { same: "The stencil counts pixels, and these have become smaller.", galerkin: "Galerkin's product is exact for images that are constant over cells. A wave is nearly that only if it is long.", dilated: "", rediscretised: "The differential operator is the same to the second derivative; waves as short as a few pixels need more." }[s.how] },
    { sentence: "An image that is constant over the cells of 2 × 2 fine pixels becomes one whose means are those of the coarse result.", holds: n.lost <= 1e-12, found: n.lost <= 1e-12 ? "The product of mean, fine stencil and repetition is the coarse stencil." : `The product of mean, fine stencil and repetition has taps that differ by ${say(100 * n.lost)} % of the largest.`, why: "This is what Galerkin's transfer asks for, and only that one and dilation have it." },
    { sentence: "The taps have not grown: their absolute values add up to at most twice what they did.", holds: n.after <= 2 * n.before + 1e-12, found: `${say(n.before)} before, ${say(n.after)} after.`, why: s.how === "galerkin" ? "What varies from tap to tap is multiplied by 2 along each axis. Penalise differences of neighbouring taps in training." : "A second difference on half the length is four times as large, and one along both axes sixteen times." },
    { sentence: "It tells fine pixels from each other: the finest wave is not taken for a constant.", holds: s.how !== "dilated" && Math.abs(n.fineGains[64] - n.fineGains[0]) > 1e-9, found: `A constant is multiplied by ${say(n.fineGains[0])}, the finest wave by ${say(n.fineGains[64])}.`, why: "A dilated stencil sees every other pixel. The fine image is four images for it, which never meet." },
  ],
  text: [
    "## What should stay the same?",
    "A stencil is a few numbers without units. On an image of half the mesh size something has to be kept, and there are four candidates. *The numbers*: then its length is halved. *The coarse problem*: with the means $R$ over cells of 2 × 2 pixels and their repetition $P$, ask that",
    "$$ R\\,K_{\\text{fine}}\\,P = K_{\\text{coarse}}, $$",
    "as multigrid methods do in the other direction. Along one axis taps $(a,b,c)$ become $(\\tfrac a2,\\,b+\\tfrac{a+c}2,\\,\\tfrac c2)$ on coarse pixels, so that those on fine ones are $(2a,\\,b-a-c,\\,2c)$. *The distances in the picture*: put zeros between the taps. *The derivative*: read the taps as $m_0 + m_1\\partial + \\tfrac{m_2}2\\partial^2$ with moments $m_k=\\sum_qs_qq^k$ in pixels, and halve the pixels, which multiplies $m_k$ by $2^k$.",
    "## What each one costs",
    "Waves are eigenvectors of all of these, so one curve says everything: the factor by which a wave is multiplied, over its frequency. Dilation repeats the coarse curve, and with it the mistake beyond the finest coarse wave. Galerkin and the differential operator follow it where waves are long, and for smooth stencils further. Both enlarge what varies from tap to tap. The same taps stretch the curve by two.",
    "## In a network",
    "The experiment trains a network on digits of 8 × 8 pixels and applies it to 16 × 16 without training there. Dilated stencils put 96 % of the fine digits right. Galerkin's put 7 to 14 % right when the stencils were rough, and 82 to 84 % when training had a penalty on differences of neighbouring taps. That penalty took 3 points on the coarse images: a network that is to change its pixels has to be trained for it.",
  ],
  code: (s) => `
import numpy as np

how, rough, waves = "${s.how}", ${s.rough}, ${s.waves}
smooth = np.outer([1, 2, 1], [1, 2, 1]) / 16
K = (1 - rough) * smooth + rough * np.array([[0.5, -0.7, 0.4], [-0.3, 0.9, -0.3], [0.4, -0.7, 0.5]])
q = np.arange(-1, 2)
moments = q ** np.arange(3)[:, None]
M = {"same": np.eye(3), "galerkin": np.array([[2, 0, 0], [-1, 1, -1], [0, 0, 2]]),
     "dilated": np.eye(5)[:, ::2], "rediscretised": np.linalg.solve(moments, np.diag([1, 2, 4]) @ moments)}[how]
fine = M @ K @ M.T

def factor(K, pixels):  # of waves along the rows
    q = np.arange(len(K)) - len(K) // 2
    return K.sum(axis=0) @ np.cos(2 * np.pi * waves * q / pixels)

print(factor(K, 8), factor(fine, 16), abs(K).sum(), abs(fine).sum())
`,
  codeNote: "It prints both factors of the wave, and the sums of the absolute values of the taps.",
  prints: (n) => [n.coarse, n.onFine, n.before, n.after],
  exercises: [
    { ask: "A network uses the second difference $(1,-2,1)$ along one axis. By what factor do its taps grow when it goes over to pixels of half the side as the same differential operator?", input: "factor", right: 4, wrong: 2,
      check: ({ answer }) => ({ passed: answer === 4, say: answer === 4 ? "Passed: $m_2$ is multiplied by $2^2$, and the other two moments are zero." : answer === 2 ? "That is the first derivative." : "$(u_{i-1}-2u_i+u_{i+1})/h^2$ stands for the second derivative. What does half of $h$ do?" }) },
    { ask: "On coarse pixels a stencil has the taps $(\\tfrac14,\\tfrac12,\\tfrac14)$ along one axis. Galerkin's product on pixels of half the side is to give just this. What is the middle tap there?", input: "middle tap", right: 0, wrong: 0.5,
      check: ({ answer }) => ({ passed: Math.abs(answer) < 1e-9, say: Math.abs(answer) < 1e-9 ? "Passed: $(\\tfrac12,0,\\tfrac12)$, a stencil that does not see its own pixel. Half of each outer tap falls back into the cell that it comes from." : "$(2a,\\;b-a-c,\\;2c)$." }) },
  ],
  sources: [
    "E. Haber, L. Ruthotto, E. Holtham and S.-H. Jun, Learning across scales: multiscale methods for convolution neural networks, *AAAI* 2018.",
    "F. Yu and V. Koltun, Multi-scale context aggregation by dilated convolutions, *ICLR* 2016.",
    "U. Trottenberg, C. Oosterlee and A. Schüller, *Multigrid*, Academic Press 2001, section 2.3 (Galerkin's product).",
    "In numdl: `numdl experiment run across-scales`; `numdl.models.rescaled`, `numdl.flow.images.transferred`.",
  ],
  trials: HOW.flatMap(([how]) => [0, 0.1, 0.5, 1].flatMap((rough) => [0.5, 3].map((waves) => ({ how, rough, waves })))),
  compare: (n) => ({ fine: n.fine, back: n.back, coarse: n.coarse, onFine: n.onFine, fineGains: n.fineGains, sizes: [n.before, n.after] }),
};
