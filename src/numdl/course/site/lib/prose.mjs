// How does a line of text become a paragraph? `$formula$`, `$$display$$`, *stress*, `code`, [link](address),
// [[control]] and {{number of the figure}}.
import { add } from "./plot.mjs";

const PIECE = /\$\$([^$]+)\$\$|\$([^$]+)\$|\*([^*]+)\*|`([^`]+)`|\[\[(\w+)\]\]|\{\{(\w+)\}\}|\[([^\]]+)\]\(([^)]+)\)/g;

// mounts: {control(host, name), number(host, name)}; without them such pieces are left out.
export function prose(host, text, mounts = {}) {
  let last = 0;
  for (const found of text.matchAll(PIECE)) {
    host.append(text.slice(last, found.index));
    last = found.index + found[0].length;
    const [, display, inline, stress, code, control, number, link, address] = found;
    if (display ?? inline) formula(add(host, "span", { class: display ? "display" : "math" }), display ?? inline, !!display);
    else if (stress) add(host, "em", {}, stress);
    else if (code) add(host, "code", {}, code);
    else if (control) mounts.control?.(host, control);
    else if (number) mounts.number?.(host, number);
    else add(host, "a", { href: address }, link);
  }
  host.append(text.slice(last));
  return host;
}

// KaTeX builds nodes and sets their styles by script, which the strict policy of the page allows.
function formula(host, text, display) {
  globalThis.katex.render(text.trim(), host, { displayMode: display, throwOnError: false });
}
