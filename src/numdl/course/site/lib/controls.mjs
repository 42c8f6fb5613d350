// How does a reader change a number of a figure? Sliders and choices that stand inside a sentence; their state is one object.
import { clamp } from "./numerics.mjs";
import { add, say } from "./plot.mjs";

// The numbers that a slider with unequal steps can be moved to, ascending: those of `stops`, or on a logarithmic scale the
// multiples of the step in the exponent, powers of ten among them, and both ends. Its position counts them.
export function stopsOf({ stops, log, min, max, step = 0.05 }) {
  if (stops || !log) return stops ?? null;
  const found = [min];
  for (let k = Math.floor(Math.log10(min) / step); k * step <= Math.log10(max); k++) { const x = Number((10 ** (k * step)).toPrecision(4)); if (x > 1.01 * min && x < 0.99 * max) found.push(x); }
  return [...found, max];
}
const nearest = (stops, x) => stops.reduce((best, one, i) => (Math.abs(Math.log(one / x)) < Math.abs(Math.log(stops[best] / x)) ? i : best), 0);

// A value that the control can take: what an address or a drag asks for may be anything. On a logarithmic scale values between two
// stops stand, so that a setting that a page asks for is the one it gets.
export function allowed(control, value) {
  if (control.kind === "choice") return control.options.some(([name]) => name === value) ? value : control.value;
  const x = Number(value), { stops, log, min, max, step = 1 } = control;
  if (value === null || value === "" || !Number.isFinite(x)) return control.value;
  if (stops) return stops[nearest(stops, Math.max(x, 1e-300))];
  if (log) return Number(clamp(x, min, max).toPrecision(4));
  return Number((min + Math.round((clamp(x, min, max) - min) / step) * step).toPrecision(12));
}

export const told = (control, value) => (control.kind === "choice" ? control.options.find(([name]) => name === value)[1] : (control.show ?? say)(value));

// Puts the control into `host`; `change(value)` is called at each move. Returns update(value, disabled).
export function mount(host, name, control, change) {
  const box = add(host, "span", { class: "control" });
  if (control.kind === "choice") {
    const select = add(box, "select", { "aria-label": control.label, name });
    for (const [value, text] of control.options) add(select, "option", { value }, text);
    select.addEventListener("change", () => change(select.value));
    return (value) => { select.value = value; };
  }
  const value = add(box, "output", { class: "value" }), stops = stopsOf(control), step = stops ? 1 : (control.step ?? 1);
  const at = (x) => (stops ? nearest(stops, x) : x), outward = (position) => (stops ? stops[position] : Number(position.toPrecision(12)));
  const [low, high] = stops ? [0, stops.length - 1] : [control.min, control.max];
  const input = add(box, "input", { type: "range", name, "aria-label": control.label, min: low, max: high, step });
  input.addEventListener("input", () => { stop(); change(outward(Number(input.value))); });
  let timer = null, button = null;
  function stop() { clearInterval(timer); timer = null; if (button) { button.textContent = "▶"; button.setAttribute("aria-label", `play ${control.label}`); } }
  if (control.play) {
    button = add(box, "button", { type: "button", class: "play", "aria-label": `play ${control.label}` }, "▶");
    button.addEventListener("click", () => {
      if (timer) return stop();
      button.textContent = "❚❚";
      button.setAttribute("aria-label", `pause ${control.label}`);
      if (Number(input.value) >= Number(input.max)) change(outward(low));
      timer = setInterval(() => {
        if (Number(input.value) >= Number(input.max)) return stop();
        change(outward(Math.min(Number(input.value) + step * (control.stride ?? 1), high)));
      }, control.play);
    });
  }
  return (now, off = false) => {
    input.value = at(now);
    input.disabled = off;
    const text = (control.show ?? say)(now);
    value.textContent = text;
    input.setAttribute("aria-valuetext", text);
  };
}

// State in the address: #noise=0.01&cut=12
export function fromAddress(controls, hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  return Object.fromEntries(Object.entries(controls).map(([name, control]) => [name, given.has(name) ? allowed(control, given.get(name)) : control.value]));
}
export const toAddress = (controls, settings) => "#" + new URLSearchParams(Object.keys(controls).filter((n) => settings[n] !== controls[n].value).map((n) => [n, settings[n]]));
