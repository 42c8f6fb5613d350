// Prints what the pages compute at their trial settings, as JSON: node pages_in_node.mjs MODULE...
import { pathToFileURL } from "node:url";
import { notebook } from "../../src/numdl/course/site/lib/notebook.mjs";

const found = {};
for (const path of process.argv.slice(2)) {
  const { page } = await import(pathToFileURL(path));
  const defaults = { ...Object.fromEntries(Object.entries(page.controls).map(([name, control]) => [name, control.value])), ...page.hidden };
  found[path] = {
    tolerance: page.tolerance ?? 1e-9,
    controls: page.controls,
    trials: page.trials.map((given) => {
      const settings = { ...defaults, ...given }, numbers = page.compute(settings);
      return { settings, numbers: page.compare(numbers, settings), claims: page.claims(numbers, settings), code: page.code(settings), prints: page.prints(numbers, settings), table: page.table(numbers, settings) };
    }),
    start: (() => { const numbers = page.compute(defaults); return { settings: defaults, claims: page.claims(numbers, defaults), code: page.code(defaults), prints: page.prints(numbers, defaults), values: page.values(numbers, defaults) }; })(),
    notebook: notebook(page, defaults, page.compute(defaults)),
    solutions: page.exercises.map((one) => (one.right ? [one.right, one.wrong].map((answer) => one.check({ answer, settings: defaults, numbers: page.compute(defaults), memory: {} })) : null)),
  };
}
// What is not finite has a name, as JSON has none for it.
process.stdout.write(JSON.stringify(found, (_, value) => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value)));
