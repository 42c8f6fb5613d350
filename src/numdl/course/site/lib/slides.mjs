// How does a page look in a lecture room? One part at a time in large type, its figure live: arrow keys, `?slides` in the address.
import { add } from "./plot.mjs";

const OWN = "input, select, textarea, summary, .handle"; // they use the arrow keys themselves

// Lists of nodes that are shown together: title and guess; figure; claims; each chapter of the text; code; exercises; sources.
function parts(host) {
  const found = [];
  for (const section of host.children) {
    if (section.className === "guess") found.push([document.querySelector("header"), section]);
    else if (section.className !== "text") found.push([section]);
    else for (const node of section.children) {
      if (node.tagName === "H2" || !found.at(-1).includes(section)) found.push([section]);
      found.at(-1).push(node);
    }
  }
  return found;
}

export function slides(host, redraw) {
  const all = parts(host), nodes = new Set(all.flat()), onward = [...document.querySelectorAll("footer a")].find((a) => a.textContent.includes("→"));
  const bar = add(document.body, "div", { class: "bar", hidden: "" }), steps = [["‹", "previous part", () => show(at - 1)], ["›", "next part", () => show(at + 1)], ["Leave", "leave the slides", leave]];
  const [back, next] = steps.map(([text, label, act]) => { const button = add(bar, "button", { type: "button", "aria-label": label }, text); button.addEventListener("click", act); return button; });
  const place = add(bar, "output", { "aria-live": "polite" });
  let at = -1;
  const address = (query) => { try { history.replaceState(null, "", `${location.pathname}${query}${location.hash}`); } catch { /* an address that may not change */ } };

  function show(k) {
    if (k >= all.length && onward) { location.href = `${onward.getAttribute("href")}?slides`; return; }
    const entering = at < 0;
    at = Math.min(Math.max(k, 0), all.length - 1);
    document.body.classList.add("slides");
    bar.hidden = false;
    for (const node of nodes) node.classList.toggle("away", !all[at].includes(node));
    place.textContent = `${at + 1} / ${all.length}`;
    back.disabled = at === 0;
    next.disabled = at === all.length - 1 && !onward;
    address(`?slides=${at + 1}`);
    if (entering || all[at].some((node) => node.classList.contains("stage"))) redraw(); // a figure that was hidden has no width
    scrollTo(0, 0);
  }
  function leave() {
    at = -1;
    document.body.classList.remove("slides");
    bar.hidden = true;
    for (const node of nodes) node.classList.remove("away");
    address("");
    redraw();
  }
  addEventListener("keydown", (event) => {
    if (at < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape") return leave();
    if (event.target.closest?.(OWN)) return;
    const step = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    show(step === Infinity ? all.length - 1 : at + step);
  });
  const button = add(document.querySelector("nav"), "button", { type: "button", class: "slides-on" }, "Show as slides");
  button.addEventListener("click", () => show(0));
  const asked = new URLSearchParams(location.search).get("slides");
  if (asked !== null) show((Number(asked) || 1) - 1);
}
