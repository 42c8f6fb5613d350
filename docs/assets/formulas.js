// Formulas of the pages, by the KaTeX of the course; a comma or full stop stays on the line of a short formula.
for (const place of document.querySelectorAll(".arithmatex")) {
  const text = place.textContent.trim();
  const display = text.startsWith("\\[");
  katex.render(text.slice(2, -2), place, { displayMode: display, throwOnError: false });
  const next = place.nextSibling;
  const mark = !display && text.length < 30 && next && next.nodeType === Node.TEXT_NODE && next.data.match(/^[.,;:?!)]+/);
  if (mark) {
    const together = document.createElement("span");
    together.className = "together";
    place.replaceWith(together);
    next.data = next.data.slice(mark[0].length);
    together.append(place, mark[0]);
  }
}
