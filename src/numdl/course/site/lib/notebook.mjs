// A page as a Jupyter notebook (nbformat 4.5): its text, the Python with the reader's settings, the exercises, the sources.
import { told } from "./controls.mjs";

// Markdown of a line of the page: controls and numbers of the figure stand there with their values.
function markdown(text, page, settings, values) {
  return text
    .replace(/\[\[(\w+)\]\]/g, (_, name) => `**${told(page.controls[name], settings[name])}**`)
    .replace(/\{\{(\w+)\}\}/g, (_, name) => `**${values[name]}**`)
    .replace(/\]\((\w+)\.html\)/g, "]($1.ipynb)");
}

export function notebook(page, settings, numbers) {
  const values = page.values(numbers, settings), line = (text) => markdown(text, page, settings, values);
  const cells = [];
  const put = (type, source) => cells.push({ id: `cell-${cells.length}`, cell_type: type, metadata: {}, source, ...(type === "code" ? { execution_count: null, outputs: [] } : {}) });
  put("markdown", [`# ${page.id} ${page.question}`, page.goal, `${page.minutes} minutes. You need: ${page.needs}, and \`pip install numdl\`.`].join("\n\n"));
  put("markdown", ["## Guess first", page.guess.ask, page.guess.options.map((option) => `- ${option}`).join("\n"), `<details><summary>The answer</summary>\n\n${page.guess.options[page.guess.answer]}: ${page.guess.why}\n\n</details>`].map(line).join("\n\n"));
  put("markdown", page.sentence.map(line).join("\n\n"));
  put("code", page.code(settings).trim());
  put("markdown", page.text.map(line).join("\n\n"));
  page.exercises.forEach((one, i) => { put("markdown", `## Exercise ${i + 1}\n\n${line(one.ask)}`); put("code", ""); });
  put("markdown", `## Where this comes from\n\n${page.sources.map((source) => `- ${line(source)}`).join("\n")}`);
  return {
    nbformat: 4, nbformat_minor: 5,
    metadata: { kernelspec: { display_name: "Python 3", language: "python", name: "python3" }, language_info: { name: "python" } },
    cells,
  };
}
