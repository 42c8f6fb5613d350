// Moves the response curves of the page: choose an input, hold it at one of its levels, and see what the others do then.
// All curves were computed with the model beforehand; nothing is interpolated. Without this script they stand still.
"use strict";
for (const source of document.querySelectorAll("script[type='application/json'][data-slices]")) {
  const slices = JSON.parse(source.textContent);
  const section = source.parentElement;
  const controls = section.querySelector(".controls");
  const [select, slider, said] = ["select", "input", "output"].map((tag) => controls.querySelector(tag));
  const numbers = (path) => path.getAttribute("d").match(/-?[\d.]+(e[-+]?\d+)?/gi).map(Number);
  const figures = slices.figures.map(({ id, input, output, log }) => {
    const part = (name) => document.querySelector(`#${id}-live-${name} path`);
    const [left, bottom, right, top] = numbers(part("frame"));
    const grid = slices.grid[input], [low, high] = slices.limits[output], last = grid.length - 1;
    const width = grid[last] - grid[0] || 1, scale = log ? Math.log : Number;
    const share = (value) => (scale(value) - scale(low)) / (scale(high) - scale(low));
    return {
      input, output, line: part("line"), band: part("band"), mark: part("mark"),
      x: (value) => left + ((value - grid[0]) / width) * (right - left),
      y: (value) => bottom + share(Math.min(Math.max(value, low), high)) * (top - bottom),
      bottom, top,
    };
  });
  const path = (points) => "M" + points.map(([x, y]) => `${x.toFixed(2)} ${y.toFixed(2)}`).join("L");

  function draw() {
    const held = Number(select.value), level = Number(slider.value);
    const moved = held >= 0;
    slider.disabled = !moved;
    slider.hidden = !moved;
    said.textContent = moved ? `= ${Number(slices.levels[held][level].toPrecision(4))}` : "";
    for (const figure of figures) {
      const { input, output } = figure, grid = slices.grid[input];
      const other = moved ? held : input;
      const at = other === input && moved ? slices.levels[input][level] : slices.base[input];
      const row = slices.response[input][other][other === input ? 0 : level][output];
      figure.line.setAttribute("d", path(row.map((value, i) => [figure.x(grid[i]), figure.y(value)])));
      figure.mark.setAttribute("d", path([[figure.x(at), figure.bottom], [figure.x(at), figure.top]]));
      if (figure.band) {
        const end = (ends) => ends[input][other][other === input ? 0 : level][output];
        const edge = (ends) => end(ends).map((value, i) => [figure.x(grid[i]), figure.y(value)]);
        figure.band.setAttribute("d", path([...edge(slices.high), ...edge(slices.low).reverse()]) + "Z");
      }
    }
  }

  select.addEventListener("change", draw);
  slider.addEventListener("input", draw);
  controls.hidden = false;
  draw();
}
