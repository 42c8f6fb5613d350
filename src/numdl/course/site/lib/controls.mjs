// How does a reader change a number of a figure? Sliders and choices that stand inside a sentence; their state is one object.
import { clamp } from "./numerics.mjs";
import { add, say } from "./plot.mjs";

// A slider's position is the exponent where the quantity is a power of ten.
const inward = (control, value) => (control.log ? Math.log10(value) : value);
const outward = (control, position) => {
  const value = control.log ? 10 ** position : position;
  return Number(value.toPrecision(control.log ? 4 : 12));
};

// A value that the control can take: what an address or a drag asks for may be anything.
export function allowed(control, value) {
  if (control.kind === "choice") return control.options.some(([name]) => name === value) ? value : control.value;
  const x = Number(value);
  if (value === null || value === "" || !Number.isFinite(x)) return control.value;
  const position = clamp(inward(control, control.log ? Math.max(x, 1e-300) : x), inward(control, control.min), inward(control, control.max));
  const low = inward(control, control.min), step = control.step ?? (control.log ? 0.05 : 1);
  return outward(control, low + Math.round((position - low) / step) * step);
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
  const value = add(box, "output", { class: "value" });
  const input = add(box, "input", {
    type: "range", name, "aria-label": control.label,
    min: inward(control, control.min), max: inward(control, control.max), step: control.step ?? (control.log ? 0.05 : 1),
  });
  input.addEventListener("input", () => { stop(); change(outward(control, Number(input.value))); });
  let timer = null, button = null;
  function stop() { clearInterval(timer); timer = null; if (button) { button.textContent = "▶"; button.setAttribute("aria-label", `play ${control.label}`); } }
  if (control.play) {
    button = add(box, "button", { type: "button", class: "play", "aria-label": `play ${control.label}` }, "▶");
    button.addEventListener("click", () => {
      if (timer) return stop();
      button.textContent = "❚❚";
      button.setAttribute("aria-label", `pause ${control.label}`);
      if (Number(input.value) >= Number(input.max)) change(control.min);
      timer = setInterval(() => {
        if (Number(input.value) >= Number(input.max)) return stop();
        change(allowed(control, outward(control, Number(input.value) + (control.step ?? 1) * (control.stride ?? 1))));
      }, control.play);
    });
  }
  return (now, off = false) => {
    input.value = inward(control, now);
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
