// What do the criteria say about the reader's own table? The local server reads the file and sends curves as they are computed.
import { argmin, mean, transpose } from "./numerics.mjs";
import { add, Plot, say } from "./plot.mjs";

const COLORS = { GCV: "orange", "five folds": "blue", "L-curve": "purple" }, LINES = ["blue", "orange", "green", "purple", "red", "grey"];

// Mean of the folds that have come so far at each alpha, in deviations of the target.
export const overFolds = (errors) => transpose(errors).map((one) => Math.sqrt(mean(one)));
const range2 = (values, room = 1.15) => ({ min: Math.min(...values.filter((v) => v > 0)) / room, max: Math.max(...values) * room, log: true });

export function own(host) {
  const section = add(host, "section", { class: "real own" });
  add(section, "h2", {}, "On your own table");
  add(section, "p", {}, "Choose a file with columns of numbers: CSV, Excel, Parquet, MAT and others. numdl reads it on this machine, nothing leaves it. A linear model predicts one column from the others, all scaled to deviation 1; the penalty is α/2 times the squared weights, beside half the mean squared error.");
  const row = add(section, "div", { class: "row" }), input = add(row, "input", { type: "file", "aria-label": "table" }), label = add(row, "label", { hidden: "" }, "predict ");
  const select = add(label, "select", { "aria-label": "column to predict" }), said = add(section, "p", { class: "reply", "aria-live": "polite" }), notes = add(section, "p", { class: "found" });
  const figures = add(section, "div", { class: "figures" }), plots = [0, 1, 2].map((k) => ({ host: add(figures, "figure", { class: k === 2 ? "wide" : "" }), plot: null }));
  let running = null, found = {};
  figures.hidden = true;

  function begin(k, view) { const one = plots[k]; return one.plot ? one.plot.begin(view) : (one.plot = new Plot(one.host, view)); }
  function draw() {
    figures.hidden = false;
    const { alphas, gcv, residual, size, errors, chosen, coefficients } = found, x = { min: alphas[0], max: alphas.at(-1), log: true, label: "α" };
    const folds = errors.length ? overFolds(errors) : [], curve = gcv.map(Math.sqrt), both = [...curve, ...folds].filter(Number.isFinite);
    const left = begin(0, { title: "Error of prediction, by GCV and by rows left out", height: 280, x, y: { ...range2(both), label: "in deviations of the target" } });
    left.line(alphas, curve, { color: "orange", label: "root of GCV" });
    if (folds.length) left.line(alphas, folds, { color: "blue", label: `${errors.length} of 5 folds` });
    const right = begin(1, { title: "L-curve", height: 280, x: { ...range2(residual), label: "residual" }, y: { ...range2(size.filter((v) => v > 1e-12)), label: "size of the weights" } });
    right.line(residual, size, { color: "grey" });
    for (const [name, k] of Object.entries(chosen ?? {})) {
      left.upright(alphas[k], { color: COLORS[name], label: name });
      right.dots([residual[k]], [size[k]], { color: COLORS[name], shape: "diamond", size: 4.5, label: name });
    }
    if (!coefficients) return;
    const all = Object.values(coefficients).flat(), low = Math.min(0, ...all), high = Math.max(0, ...all), room = 0.06 * (high - low || 1), weights = begin(2, { title: "Weights of the largest inputs", height: 290, x, y: { min: low - room, max: high + room, label: "weight, all in deviations" } });
    Object.entries(coefficients).forEach(([name, values], j) => weights.line(alphas, values, { color: LINES[j % LINES.length], dash: j < LINES.length ? "" : "5 4", label: name }));
    for (const [name, k] of Object.entries(chosen)) weights.upright(alphas[k], { color: COLORS[name] });
  }

  function take(one) {
    if (one.failed !== undefined) { said.className = "reply failed"; said.textContent = one.failed; return; }
    if (one.columns) {
      label.hidden = false;
      select.replaceChildren(...one.columns.map((name) => add(null, "option", name === one.target ? { value: name, selected: "" } : { value: name }, name)));
      said.textContent = `${one.rows.toLocaleString("en")} rows are used. numdl computes ...`;
      notes.textContent = one.notes.join(" ");
    }
    if (one.alphas) Object.assign(found, one, { errors: [] });
    if (one.fold) found.errors.push(one.error);
    if (one.chosen) {
      Object.assign(found, one);
      const folds = overFolds(found.errors);
      said.className = "reply passed";
      said.textContent = `${Object.entries(one.chosen).map(([name, k]) => `${name}: α = ${say(found.alphas[k], 2)}, ${say(found.freedom[k])} degrees of freedom, error ${say(folds[k])}`).join("; ")}. Predicting the mean has error 1; the least over the folds is ${say(folds[argmin(folds)])}.`;
    }
    if (found.alphas) draw();
  }

  async function run(target) {
    const file = input.files[0];
    if (!file) return;
    running?.abort();
    const mine = (running = new AbortController());
    found = {}; figures.hidden = true; notes.textContent = "";
    said.className = "reply";
    said.textContent = "numdl reads the file ...";
    try {
      const answer = await fetch(`table?${new URLSearchParams({ name: file.name, target })}`, { method: "POST", signal: mine.signal, body: file });
      if (!answer.ok) { take({ failed: (await answer.json()).error }); return; }
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const whole = (rest + part.value).split("\n");
        rest = whole.pop();
        for (const line of whole) if (line && mine === running) take(JSON.parse(line));
      }
    } catch (error) {
      if (error.name !== "AbortError") take({ failed: "The server that showed this page does not answer any more: start `numdl course` again." });
    }
  }
  input.addEventListener("change", () => { label.hidden = true; run(""); });
  select.addEventListener("change", () => run(select.value));
}
