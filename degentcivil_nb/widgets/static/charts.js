// The charts: which ones are drawn is chosen above the figure.

/** @type {Script<ChartsState, ChartsBody>["receive"]} */
function receiveCharts(state, body, buffers, full) {
  receiveFigure(state, body, buffers, full);
  if (body.offered) state.offered = body.offered;
  if (body.chosen) state.chosen = body.chosen;
  if (body.unoffered !== undefined) state.unoffered = body.unoffered;
}

/** @type {Script<ChartsState, ChartsBody>["render"]} */
function renderCharts(state, el, tools) {
  const bar = make("fieldset", "dc-charts");
  const place = make("div");
  el.append(bar, place);
  const view = renderFigure(state, place, tools);
  let drawn = "";

  /** @param {string} name */
  function choice(name) {
    const label = make("label");
    const box = make("input");
    box.type = "checkbox";
    box.checked = state.chosen?.includes(name) ?? false;
    box.addEventListener("change", () => {
      const rest = (state.chosen ?? []).filter((each) => each !== name);
      state.chosen = box.checked ? [...rest, name] : rest;
      tools.send({ charts: state.chosen });
    });
    label.append(box, ` ${visible(name)}`);
    return label;
  }

  function choose() {
    const now = JSON.stringify([state.offered, state.chosen, state.unoffered]);
    if (now === drawn || !state.offered) return;
    drawn = now;
    bar.replaceChildren(make("legend", "dc-hidden", "charts"), ...state.offered.map(choice));
    if (state.unoffered) {
      const more = `and ${formatCount(state.unoffered)} more: session.plot.attribute("name") draws any`;
      bar.append(make("span", "dc-dim", more));
    }
  }
  return {
    ...view,
    draw(body, buffers, full) {
      choose();
      return view.draw(body?.changes && !body.changes.length && !body.layout ? undefined : body, buffers, full);
    },
  };
}

PANELS.set("charts", { receive: receiveCharts, keep: keepLibrary, render: renderCharts });
