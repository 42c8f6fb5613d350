// Prints what the pages compute at their trial settings, as JSON: node pages_in_node.mjs MODULE...
import { pathToFileURL } from "node:url";
import { key } from "../../src/numdl/course/site/lib/answers.mjs";
import { attempt } from "../../src/numdl/course/site/lib/check.mjs";
import { allowed, stopsOf } from "../../src/numdl/course/site/lib/controls.mjs";
import { notebook } from "../../src/numdl/course/site/lib/notebook.mjs";

// What a button asks of the controls, and what they take: [label, control, asked, taken].
const moves = (page, defaults, label, patch) => {
  const wanted = typeof patch === "function" ? patch(defaults, page.compute(defaults)) : patch;
  return Object.entries(wanted).map(([name, value]) => [label, name, value, name in page.controls ? allowed(page.controls[name], value) : name in defaults ? value : "no setting"]);
};
const found = {};
for (const path of process.argv.slice(2)) {
  const { page } = await import(pathToFileURL(path));
  const defaults = { ...Object.fromEntries(Object.entries(page.controls).map(([name, control]) => [name, control.value])), ...page.hidden };
  found[path] = {
    tolerance: page.tolerance ?? 1e-9,
    controls: page.controls,
    hides: page.guess.hides ?? [],
    trials: page.trials.map((given) => {
      const settings = { ...defaults, ...given }, numbers = page.compute(settings);
      return { settings, numbers: page.compare(numbers, settings), claims: page.claims(numbers, settings), code: page.code(settings), prints: page.prints(numbers, settings), table: page.table(numbers, settings) };
    }),
    start: (() => { const numbers = page.compute(defaults); return { settings: defaults, claims: page.claims(numbers, defaults), code: page.code(defaults), prints: page.prints(numbers, defaults), values: page.values(numbers, defaults) }; })(),
    notebook: notebook(page, defaults, page.compute(defaults)),
    moves: [...(page.breaks ?? []).flatMap((one) => moves(page, defaults, one.label, one.patch)), ...moves(page, defaults, "guess", page.guess.see ?? {})],
    stops: Object.fromEntries(Object.entries(page.controls).filter(([, one]) => one.kind === "slider" && stopsOf(one)).map(([name, one]) => [name, stopsOf(one)])),
    idle: page.exercises.filter((one) => !one.input && !one.start).map((one) => one.check({ answer: null, settings: defaults, numbers: page.compute(defaults), memory: {} })),
    wrong: page.exercises.map((one) => attempt(page, one, defaults, one.wrong ?? null).reply),
    key: page.exercises.map((one) => key(page, one)),
  };
}
// What is not finite has a name, as JSON has none for it.
process.stdout.write(JSON.stringify(found, (_, value) => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value)));
