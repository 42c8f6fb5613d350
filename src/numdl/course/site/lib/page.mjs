// What puts a page together: its data become text, figures, claims, code and exercises that share one set of settings.
import { fromAddress, mount, told, toAddress, allowed } from "./controls.mjs";
import { claims, exercise, guess } from "./check.mjs";
import { notebook } from "./notebook.mjs";
import { own } from "./own.mjs";
import { add, Plot } from "./plot.mjs";
import { prose } from "./prose.mjs";
import { real } from "./real.mjs";
import { slides } from "./slides.mjs";

const GESTURE = 900, LEAD = 0.42; // milliseconds; share of the window that a sentence may keep

// Settings that a button asks for: as they stand, or made of the present ones.
export const asked = (patch, settings, numbers) => (typeof patch === "function" ? patch(settings, numbers) : patch);
// A number and its unit stay on one line.
const whole = (text) => (text.length < 16 ? text.replaceAll(" ", "\u00a0") : text);

export function start(page, host) {
  const controls = page.controls;
  let settings = fromAddress(controls, location.hash), hidden = { ...page.hidden }, numbers = null, ghost = null, last = 0;
  let open = location.hash.length > 1; // numbers that answer the guess are in sight once it is made, or the figure is moved
  const updates = { controls: [], numbers: [] };
  const all = () => ({ ...settings, ...hidden });

  function change(patch) {
    if (performance.now() - last > GESTURE) ghost = { settings: all(), numbers };
    last = performance.now();
    open = true;
    for (const [name, value] of Object.entries(patch)) if (name in controls) settings[name] = allowed(controls[name], value); else hidden[name] = value;
    try { history.replaceState(null, "", toAddress(controls, settings)); } catch { /* an address that may not change */ }
    draw();
  }

  const mounts = {
    control(where, name) { updates.controls.push([name, mount(where, name, controls[name], (value) => change({ [name]: value }))]); },
    number(where, name) { updates.numbers.push([name, add(where, "output", { class: "number" })]); },
  };

  const begin = () => ({ ...Object.fromEntries(Object.entries(controls).map(([n, c]) => [n, c.value])), ...page.hidden });
  guess(host, page.guess, page.guess.see && (() => { last = 0; change(begin()); change(asked(page.guess.see, all(), numbers)); stage.scrollIntoView({ block: "nearest" }); }), () => { if (!open) { open = true; draw(); } });
  const stage = add(host, "section", { class: "stage", "aria-label": "Figure" });
  const lead = add(stage, "div", { class: "lead" }); // stays in sight while its figures scroll, if it leaves room for them
  for (const line of page.sentence) prose(add(lead, "p", { class: "sentence" }), line, mounts);
  const tools = add(stage, "div", { class: "row tools" }), said = add(stage, "p", { class: "reply", "aria-live": "polite" });
  for (const one of page.breaks ?? []) {
    add(tools, "button", { type: "button" }, one.label).addEventListener("click", () => { last = 0; change(asked(one.patch, all(), numbers)); said.replaceChildren(); prose(said, one.why ?? ""); });
  }
  add(tools, "button", { type: "button" }, "Reset").addEventListener("click", () => {
    last = 0; ghost = null; said.textContent = "";
    change(begin());
    ghost = null; draw();
  });
  const figures = add(stage, "div", { class: `figures ${page.layout ?? ""}` });
  const plots = page.views.map((view) => ({ view, host: add(figures, "figure", { class: view.wide ? "wide" : "" }), plot: null }));
  const fold = add(stage, "details"), summary = add(fold, "summary", {}, "The numbers of the figure as a table");
  const table = add(add(fold, "div", { class: "scroll" }), "table");
  const judge = claims(host);

  const text = add(host, "section", { class: "text" });
  for (const line of page.text) {
    if (line.startsWith("## ")) add(text, "h2", {}, line.slice(3));
    else prose(add(text, "p"), line, mounts);
  }
  const listing = add(host, "section", { class: "code" });
  add(listing, "h2", {}, "The same numbers in Python");
  prose(add(listing, "p"), page.codeNote ?? "Copy it: it has your settings and prints the numbers of the figure.");
  const buttons = add(listing, "div", { class: "row tools" });
  const copy = add(buttons, "button", { type: "button" }, "Copy"), code = add(add(listing, "pre", { tabindex: 0 }), "code");
  add(buttons, "button", { type: "button" }, "Save as notebook").addEventListener("click", () => {
    const link = add(listing, "a", { download: `numdl-${page.id}.ipynb`, href: URL.createObjectURL(new Blob([JSON.stringify(notebook(page, all(), numbers), null, 1)], { type: "application/x-ipynb+json" })) });
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });
  copy.addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(code.textContent); copy.textContent = "Copied"; } catch { getSelection().selectAllChildren(code); copy.textContent = "Selected"; }
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  });
  const state = { settings: all, numbers: () => numbers, change };
  page.exercises.forEach((one, i) => exercise(host, one, state, page.exercises.length > 1 ? `Exercise ${i + 1}` : "Exercise"));
  if (host.dataset.own) own(host);
  if (host.dataset.experiment) real(host, JSON.parse(host.dataset.experiment));
  const foot = add(host, "section", { class: "sources" });
  add(foot, "h2", {}, "Where this comes from");
  const list = add(foot, "ul");
  for (const line of page.sources) prose(add(list, "li"), line);

  function draw() {
    numbers = page.compute(all());
    const values = page.values(numbers, all());
    for (const [name, update] of updates.controls) update(settings[name], page.disabled?.(all())?.includes(name));
    for (const [name, output] of updates.numbers) { const text = open || !page.guess.hides?.includes(name) ? whole(values[name]) : "?"; if (output.textContent !== text) output.textContent = text; }
    const old = ghost && ghost.numbers && page.ghost?.(ghost.settings, all()) !== false ? ghost : null;
    for (const one of plots) {
      const view = one.view.frame(numbers, all());
      if (one.plot) one.plot.begin(view); else one.plot = new Plot(one.host, view);
      one.view.draw(one.plot, numbers, all(), { change, ghost: old, open });
    }
    judge(page.claims(numbers, all()));
    fill(table, page.table(numbers, all()));
    code.textContent = page.code(all()).trim();
    stick();
    summary.dataset.state = Object.entries(controls).map(([n, c]) => `${c.label}: ${told(c, settings[n])}`).join(", ");
  }
  function stick() { lead.classList.toggle("still", lead.offsetHeight > LEAD * innerHeight); }
  draw();
  slides(host, draw);
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; draw(); } else stick(); }); // phones turn, and bars of browsers come and go
  addEventListener("hashchange", () => { settings = fromAddress(controls, location.hash); draw(); });
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => (d.open = true)));
}

function fill(table, { head, rows }) {
  const line = (cells, tag) => { const row = document.createElement("tr"); for (const cell of cells) add(row, tag, {}, String(cell)); return row; };
  const top = document.createElement("thead"), body = document.createElement("tbody");
  top.append(line(head, "th"));
  body.append(...rows.map((row) => line(row, "td")));
  table.replaceChildren(top, body);
}
