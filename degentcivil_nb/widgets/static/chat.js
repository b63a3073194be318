// What characters say to each other: a list of conversations beside the messages.

/** @type {Script<ChatState, ChatBody>["receive"]} */
function receiveChat(state, body, buffers, full) {
  receiveTable(state, body, buffers, full);
  if (body.talks) state.talks = body.talks;
}

/** @type {Script<ChatState, ChatBody>["render"]} */
function renderChat(state, el, tools) {
  const sides = make("div", "dc-talks");
  const list = make("nav", "dc-talk-list");
  list.setAttribute("aria-label", "Conversations");
  const place = make("div", "dc-talk-table");
  sides.append(list, place);
  el.append(sides);
  const view = makeTable(state, place, tools, makeDetail());
  let drawn = "";

  /**
   * @param {string | null} who
   * @param {string} text
   * @param {string} more
   */
  function choice(who, text, more, endless = 0) {
    const button = make("button", "dc-talk");
    button.setAttribute("aria-pressed", String(who === (state.talks?.chosen ?? null)));
    button.append(make("span", "", visible(text)), make("span", "dc-dim", more));
    if (endless) {
      const sign = make("span", "dc-endless");
      sign.append(icon("warning"), `does not end: ${formatCount(endless)} turns without a pause`);
      button.append(sign);
    }
    button.addEventListener("click", () => {
      if (state.talks) state.talks.chosen = who;
      keepingFocus(el, choose);
      tools.send({ talk: who });
    });
    return button;
  }

  function choose() {
    const talks = state.talks;
    const now = JSON.stringify(talks);
    if (!talks || now === drawn) return;
    drawn = now;
    const few = talks.listed.length < talks.all ? `the newest ${formatCount(talks.listed.length)} of ` : "";
    const all = choice(null, "all conversations", `${few}${formatCount(talks.all)}`);
    const each = talks.listed.map(([who, count, , tick, endless]) => {
      const when = tick === null ? "" : `, last at tick ${formatCount(tick)}`;
      return choice(
        who,
        who || "nobody named",
        `${formatCount(count)} message${count === 1 ? "" : "s"}${when}`,
        endless,
      );
    });
    list.replaceChildren(all, ...each);
    list.hidden = !talks.all;
  }
  return {
    ...view,
    draw(body, buffers, full) {
      view.draw(body, buffers, full);
      choose();
    },
  };
}

PANELS.set("chat", { receive: receiveChat, render: renderChat });
