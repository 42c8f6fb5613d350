// What does a teacher want to see at once? The right answers to all exercises, judged by the checks that judge the reader.
import { attempt } from "./check.mjs";
import { told } from "./controls.mjs";
import { add, say } from "./plot.mjs";
import { prose } from "./prose.mjs";

export const startOf = (page) => ({ ...Object.fromEntries(Object.entries(page.controls).map(([name, control]) => [name, control.value])), ...page.hidden });

// {right, reply} of an exercise: what to answer, in words, and what its check says to it.
export function key(page, one) {
  const { reply, settings, begun, given } = attempt(page, one, startOf(page), one.right ?? null, one.rightly);
  const set = Object.keys(settings).filter((name) => settings[name] !== begun[name]).map((name) => (page.controls[name] ? `${page.controls[name].label}: ${told(page.controls[name], settings[name])}` : `${name}: ${JSON.stringify(settings[name])}`));
  return { right: one.right === undefined ? `For example ${set.join("; ")}.` : given.map((x) => say(x, 6)).join(", then "), reply };
}

export function answers(host, pages) {
  for (const page of pages) {
    const section = add(host, "section", { class: "exercise" });
    add(section, "h2", {}, `${page.id} ${page.question}`);
    prose(add(section, "p"), `*Guess.* ${page.guess.ask}`);
    prose(add(section, "p", { class: "reply passed" }), `${page.guess.options[page.guess.answer]}. ${page.guess.why}`);
    page.exercises.forEach((one, i) => {
      const { right, reply } = key(page, one);
      prose(add(section, "p"), `*Exercise ${i + 1}.* ${one.ask}`);
      prose(add(section, "p", { class: `reply ${reply.passed ? "passed" : "failed"}` }), `${one.input ? `${one.input} ` : ""}${right} `).append(" ");
      prose(section.lastChild, reply.say);
    });
  }
}
