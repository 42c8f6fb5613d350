// What does a page say about itself? Guesses, claims judged at the reader's own settings, and exercises with their check.
import { add } from "./plot.mjs";
import { prose } from "./prose.mjs";

// One question with answers to choose from; the choice stays in sight, and only then the answer is shown. `look` moves the figure to
// what the question speaks of, where it does not start there; `made` is called once a guess is made.
export function guess(host, { ask, options, answer, why }, look = null, made = () => {}) {
  const section = add(host, "section", { class: "guess", "aria-label": "Guess first" });
  prose(add(section, "p"), `*Guess first.* ${ask}`);
  const row = add(section, "div", { class: "row" }), reply = add(section, "p", { class: "reply", "aria-live": "polite" });
  const buttons = options.map((text, i) => {
    const button = prose(add(row, "button", { type: "button", "aria-pressed": "false" }), text);
    button.addEventListener("click", () => {
      buttons.forEach((b, k) => { b.setAttribute("aria-pressed", String(k === i)); b.classList.toggle("right", k === answer); });
      reply.replaceChildren();
      prose(reply, `${i === answer ? "Yes." : "No."} ${why}${look ? " " : ""}`);
      if (look) add(reply, "button", { type: "button" }, "Show it in the figure").addEventListener("click", look);
      made();
    });
    return button;
  });
}

// Returns update(claims): each {sentence, holds, found, why}; `why` says what a claim needs that these settings do not give.
export function claims(host) {
  const section = add(host, "section", { class: "claims" });
  add(section, "h2", {}, "Claims, judged at your settings");
  const list = add(section, "ul"), items = [];
  return (now) => {
    now.forEach(({ sentence, holds, found, why = "" }, i) => {
      const item = (items[i] ??= add(list, "li"));
      const key = [sentence, holds, found, why].join("|");
      if (item.dataset.key === key) return;
      item.dataset.key = key;
      item.className = holds ? "holds" : "fails";
      item.replaceChildren();
      add(item, "span", { class: "mark", role: "img", "aria-label": holds ? "holds" : "does not hold" }, holds ? "✓" : "✗");
      const body = add(item, "span");
      prose(body, sentence);
      prose(add(body, "span", { class: "found" }), ` ${found}`);
      if (!holds && why) prose(add(body, "span", { class: "why" }), ` ${why}`);
    });
  };
}

// state: {settings, numbers, change(patch)}. An exercise has `ask`, perhaps `start` {label, patch(round)} and `input` (a label), and
// check({answer, settings, numbers, memory}) -> {passed, say, patch}.
export function exercise(host, one, state, title) {
  const section = add(host, "section", { class: "exercise" });
  add(section, "h2", {}, title);
  prose(add(section, "p"), one.ask);
  const row = add(section, "form", { class: "row" }), reply = add(section, "p", { class: "reply", "aria-live": "polite" });
  const memory = {};
  let round = 0;
  if (one.start) {
    const button = add(row, "button", { type: "button" }, one.start.label);
    button.addEventListener("click", () => { round += 1; reply.textContent = ""; state.change(one.start.patch(round, memory)); });
  }
  const field = one.input ? add(add(row, "label", {}, `${one.input} `), "input", { type: "text", inputmode: "decimal", size: 9, autocomplete: "off" }) : null;
  add(row, "button", { type: "submit" }, one.button ?? "Check");
  row.addEventListener("submit", (event) => {
    event.preventDefault();
    const answer = field ? Number(field.value.trim().replace(",", ".")) : null;
    const result = one.start && !round
      ? { passed: false, say: `Press “${one.start.label}” first.` }
      : field && (field.value.trim() === "" || !Number.isFinite(answer))
      ? { passed: false, say: "Write one number, such as 0.25." }
      : one.check({ answer, settings: state.settings(), numbers: state.numbers(), memory });
    reply.className = `reply ${result.passed ? "passed" : "failed"}`;
    reply.replaceChildren();
    prose(reply, result.say);
    if (result.patch) state.change(result.patch);
  });
}

// An exercise done from its first button on, by its own declaration: with `answer`, a number or made of the settings, and settings
// moved by `set(settings)`. Returns {reply, settings, begun, given}: what the check said last, the settings that were handed in, those
// before they were moved, and the answers of all rounds.
export function attempt(page, one, start, answer, set = () => ({})) {
  const memory = {}, given = [];
  let begun = { ...start, ...one.start?.patch(1, memory) };
  for (;;) {
    const settings = { ...begun, ...set(begun) };
    given.push(typeof answer === "function" ? answer(settings) : answer);
    const reply = one.check({ answer: given.at(-1), settings, numbers: page.compute(settings), memory });
    if (!reply.more) return { reply, settings, begun, given };
    begun = { ...begun, ...reply.patch };
  }
}
