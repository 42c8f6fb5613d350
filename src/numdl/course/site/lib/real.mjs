// What does numdl say to the question of a page? The local server runs the experiment behind it and sends its lines.
import { add, say } from "./plot.mjs";

// experiment: {name, parameters: {name: [default, least, most, meaning]}}, written into the page by the server.
export function real(host, experiment) {
  const section = add(host, "section", { class: "real" });
  add(section, "h2", {}, "Run it for real");
  const told = add(section, "p");
  told.append("numdl computes the experiment behind this page on this machine: ");
  add(told, "code", {}, experiment.name);
  told.append(". The small version takes seconds, the full one up to some minutes.");
  const row = add(section, "div", { class: "row" }), inputs = {};
  for (const [name, [value, least, most, meaning]] of Object.entries(experiment.parameters)) {
    const label = add(row, "label", { title: `${meaning}, from ${say(least)} to ${say(most)}` }, `${name} `);
    inputs[name] = add(label, "input", { type: "text", inputmode: "decimal", size: 7, value, "aria-label": `${name}: ${meaning}` });
  }
  const seed = add(add(row, "label", {}, "seed "), "input", { type: "text", inputmode: "numeric", size: 4, value: 0, "aria-label": "seed of what is drawn" });
  const kind = add(row, "select", { "aria-label": "version" });
  for (const [value, text] of [["quick", "small version"], ["full", "full version"]]) add(kind, "option", { value }, text);
  const go = add(row, "button", { type: "button" }, "Run"), lines = add(section, "pre", { hidden: "", tabindex: 0, "aria-live": "polite" }), figure = add(section, "div");
  let running = null;
  const write = (text) => { lines.hidden = false; lines.textContent += `${text}\n`; };

  async function run() {
    running = new AbortController();
    go.textContent = "Stop";
    lines.textContent = "";
    figure.replaceChildren();
    write("numdl starts ...");
    const settings = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, Number(input.value.replace(",", "."))]).filter(([name, value]) => value !== experiment.parameters[name][0]));
    try {
      const answer = await fetch("run", { method: "POST", signal: running.signal, headers: { "Content-Type": "application/json" }, body: JSON.stringify({ name: experiment.name, quick: kind.value === "quick", seed: Number(seed.value), settings }) });
      if (!answer.ok) { write((await answer.json()).error); return; }
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const whole = (rest + part.value).split("\n");
        rest = whole.pop();
        for (const line of whole) if (line) show(JSON.parse(line));
      }
    } catch (error) {
      write(error.name === "AbortError" ? "Stopped." : "The server that showed this page does not answer any more: start `numdl course` again.");
    } finally {
      running = null;
      go.textContent = "Run";
    }
  }

  function show(found) {
    if (found.line !== undefined) write(found.line);
    else if (found.failed !== undefined) write(`It ended with code ${found.failed}.`);
    else if (found.figure) add(figure, "img", { class: "result", src: `data:image/svg+xml;base64,${found.figure}`, alt: `Figure of the experiment ${experiment.name}. ${found.claims.map((one) => `${one.holds ? "Holds" : "Does not hold"}: ${one.sentence}`).join(" ")}` });
  }

  go.addEventListener("click", () => (running ? running.abort() : run()));
}
