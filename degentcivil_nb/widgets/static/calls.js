// The calls of language models: totals of the whole run, a table over all calls, and a call that can be read.

/** @type {Script<CallsState, CallsBody>["receive"]} */
function receiveCalls(state, body, buffers, full) {
  receiveTable(state, body, buffers, full);
  if (body.totals) state.totals = body.totals;
  if (body.malformed) state.malformed = body.malformed;
}

/** @type {Script<CallsState, CallsBody>["render"]} */
function renderCalls(state, el, tools) {
  const totals = make("div", "dc-totals");
  el.append(totals);
  const view = makeTable(state, el, tools, makeCallDetail());
  let drawn = "";

  // How many answers were malformed, whose, and what they cost; a click shows those calls and no others.
  /** @param {Malformed} told */
  function malformedLine({ judged, calls, cost, characters, most, only }) {
    const line = make("div", "dc-malformed");
    const all = (state.totals ?? []).reduce((sum, [, count]) => sum + Number(count), 0);
    const of =
      judged < all ? `${formatCount(judged)} of ${formatCount(all)} answers judged so far` : "all answers judged";
    const paid = cost ? `, ${dollars(cost)}` : "";
    line.append(`malformed: `, make("strong", "", `${countOf(calls, "call")}${paid}`), ` (${of})`);
    if (!calls) return line;
    line.append(" ", only === null ? pick("show them", "") : pick("show all calls", null));
    for (const [who, count, each] of most) {
      const words = `${visible(who)} ${formatCount(count)}`;
      line.append(" ", pick(each ? `${words}, ${dollars(each)}` : words, who, only === who));
    }
    if (characters > most.length) line.append(` and ${formatCount(characters - most.length)} more characters`);
    return line;
  }
  /**
   * @param {string} text
   * @param {string | null} who
   */
  function pick(text, who, chosen = false) {
    const button = make("button", "dc-small", text);
    button.setAttribute("aria-pressed", String(chosen));
    button.addEventListener("click", () => tools.send({ malformed: chosen ? null : who }));
    return button;
  }
  return {
    ...view,
    draw(body, buffers, full) {
      view.draw(body, buffers, full);
      if (JSON.stringify([state.totals, state.malformed]) === drawn) return; // a button that is pressed must stay
      drawn = JSON.stringify([state.totals, state.malformed]);
      const known = state.totals?.length ? (state.totals ?? []).map(totalText) : [];
      totals.replaceChildren(...known, ...(known.length && state.malformed ? [malformedLine(state.malformed)] : []));
      totals.hidden = !known.length;
    },
  };
}

/** @param {CallTotals} row */
function totalText([model, calls, errors, prompt, completion, latency, cost, counted, timed, priced]) {
  const line = make("div");
  const seconds = (/** @type {number} */ s) => `${s.toLocaleString("en-US", { maximumSignificantDigits: 3 })} s`;
  // What not all calls told is said with how many did; an index of an older version does not know how many.
  /** @type {(what: string, text: string, known: number | null, sum: number | null) => string} */
  const told = (what, text, known, sum) => {
    if (known === 0 || (known === null && !sum)) return `${what} unknown`;
    return known === null || known === calls ? text : `${text} (told by ${formatCount(known)})`;
  };
  const each = timed ? `${seconds((latency ?? 0) / timed)} each` : `${seconds(latency ?? 0)} in all`;
  const parts = [
    `${countOf(calls, "call")} in the whole run`,
    `${formatCount(errors)} failed`,
    told("tokens", `${formatCount(prompt)} + ${formatCount(completion)} tokens`, counted, prompt + completion),
    told("latency", each, timed, latency),
    told("cost", dollars(cost ?? 0), priced, cost),
  ];
  line.append(make("strong", "", model === "unknown" ? "model unknown" : visible(model)), `: ${parts.join(", ")}`);
  return line;
}

/** @param {number} cost */
const dollars = (cost) =>
  `${cost.toLocaleString("en-US", cost < 0.01 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 4 })} US$`;

// One call: who asked what, and what came back.
/** @returns {DetailView} */
function makeCallDetail() {
  const el = make("section", "dc-detail dc-call");
  el.setAttribute("aria-label", "The call");
  el.tabIndex = -1;
  el.hidden = true;
  const hide = () => hideAndReturn(el);
  el.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
  /** @param {string} title */
  function head(title) {
    const bar = make("div", "dc-bar");
    bar.append(make("strong", "dc-detail-title", visible(title)));
    const close = make("button", "", "close");
    close.addEventListener("click", hide);
    bar.append(close);
    return { bar, close };
  }
  return {
    el,
    wait(key) {
      el.replaceChildren(head(key).bar, make("div", "dc-dim", "…"));
      el.hidden = false;
      el.scrollIntoView({ block: "nearest" });
    },
    show(detail) {
      const { bar, close } = head(detail.title);
      const { call, before } = detail;
      if (!call) {
        const text = make("pre");
        text.textContent = visibleLines(detail.text);
        el.replaceChildren(bar, text);
        return;
      }
      close.before(
        copyButton("copy as text", callText(call)),
        copyButton("copy as Python", `session.payload(${call.row})`),
      );
      el.replaceChildren(bar, facts(call), ...messages("prompt", call.prompt), ...answer(call));
      if (before) el.append(difference(before, call));
      el.scrollIntoView({ block: "nearest" });
    },
  };
}

/**
 * @param {string} label
 * @param {string} text
 */
function copyButton(label, text) {
  const button = make("button", "", label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "copied";
    } catch {
      button.textContent = "not allowed to copy";
    }
    setTimeout(() => {
      button.textContent = label;
    }, 1500);
  });
  return button;
}

/** @param {Call} call */
function facts(call) {
  const line = make("div", "dc-facts");
  const tell = (/** @type {string} */ name, /** @type {string | number | null} */ value, unit = "") => {
    const item = make("span");
    const text =
      value === null ? "unknown" : typeof value === "number" ? `${formatNumber(value)}${unit}` : visible(value);
    item.append(make("span", "dc-dim", `${name} `), text);
    line.append(item);
  };
  tell("who", call.character_id);
  tell("kind", call.prompt_type);
  tell("model", call.model);
  tell("tick", call.tick);
  tell("at", call.time === null ? null : localTime(call.time));
  tell("took", call.latency_s, " s");
  tell("prompt tokens", call.prompt_tokens);
  tell("completion tokens", call.completion_tokens);
  tell("cost", call.cost_usd, " US$");
  if (call.error !== null) tell("error", call.error);
  return line;
}

// A value that may be JSON in a text, as a value; undefined where it is not.
/** @param {unknown} value */
function parsed(value) {
  if (typeof value !== "string") return value ?? undefined;
  const text = value.trim().replace(/^```(?:json)?\s*([\s\S]*?)```$/, "$1");
  if (!/^[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * @param {string} label
 * @param {unknown} value
 * @returns {HTMLElement[]}
 */
function messages(label, value) {
  const list = parsed(value);
  const chat = list && typeof list === "object" && !Array.isArray(list) ? /** @type {any} */ (list).messages : list;
  if (Array.isArray(chat) && chat.every((each) => each && typeof each === "object" && "content" in each)) {
    return chat.map((each) => block(String(each.role ?? label), each.content, String(each.role ?? "")));
  }
  return [block(label, value, "")];
}

/** @param {Call} call */
function answer(call) {
  if (call.response === null || call.response === undefined) return [block("response", "none came", "")];
  const value = parsed(call.response);
  const looks = typeof call.response === "string" && /^\s*(```(json)?\s*)?[[{]/.test(call.response);
  const label = value === undefined && looks ? "response: it begins like JSON but is not valid" : "response";
  return [block(label, call.response, "assistant")];
}

/**
 * @param {string} label
 * @param {unknown} value
 * @param {string} role
 */
function block(label, value, role) {
  const box = make("div", "dc-message");
  box.dataset.role = role;
  const text = make("pre");
  text.tabIndex = 0;
  const data = parsed(value);
  text.textContent = visibleLines(data === undefined ? String(value ?? "") : JSON.stringify(data, null, 2));
  box.append(make("div", "dc-role", visible(label)), text);
  return box;
}

/** @param {Call} call */
function callText(call) {
  const said = (/** @type {unknown} */ value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
  return `${call.character_id ?? ""} ${call.prompt_type ?? ""} ${call.model ?? ""}\n\nprompt:\n${said(call.prompt)}\n\nresponse:\n${said(call.response)}\n`;
}

// What is new in a prompt against the one before of the same character and kind, word by word.
/**
 * @param {Call} before
 * @param {Call} call
 */
function difference(before, call) {
  const box = make("details", "dc-difference");
  const flat = (/** @type {unknown} */ value) =>
    typeof value === "string" ? value : (JSON.stringify(value, null, 2) ?? "");
  box.append(
    make("summary", "", `what changed since row ${before.row.toLocaleString("en-US")}, the previous call of this kind`),
  );
  const text = make("pre");
  for (const [how, words] of wordDifference(flat(before.prompt), flat(call.prompt))) {
    const part =
      how === "same"
        ? document.createTextNode(visibleLines(words))
        : make(how === "new" ? "ins" : "del", "", visibleLines(words));
    text.append(part);
  }
  box.append(text);
  return box;
}

const MOST_CELLS = 4_000_000;
/**
 * @param {string} old
 * @param {string} now
 * @returns {["same" | "new" | "gone", string][]}
 */
function wordDifference(old, now) {
  const a = old.split(/(\s+)/);
  const b = now.split(/(\s+)/);
  let first = 0;
  while (first < a.length && first < b.length && a[first] === b[first]) first++;
  let last = 0;
  while (last < a.length - first && last < b.length - first && a[a.length - 1 - last] === b[b.length - 1 - last])
    last++;
  const [x, y] = [a.slice(first, a.length - last), b.slice(first, b.length - last)];
  /** @type {["same" | "new" | "gone", string][]} */
  const parts = [["same", a.slice(0, first).join("")]];
  if (x.length * y.length > MOST_CELLS) parts.push(["gone", x.join("")], ["new", y.join("")]);
  else parts.push(...aligned(x, y));
  parts.push(["same", a.slice(a.length - last).join("")]);
  return parts.filter(([, words]) => words !== "");
}

/**
 * @param {string[]} x
 * @param {string[]} y
 * @returns {["same" | "new" | "gone", string][]}
 */
function aligned(x, y) {
  const wide = y.length + 1;
  const common = new Uint16Array((x.length + 1) * wide);
  for (let i = x.length - 1; i >= 0; i--) {
    for (let j = y.length - 1; j >= 0; j--) {
      common[i * wide + j] =
        x[i] === y[j]
          ? common[(i + 1) * wide + j + 1] + 1
          : Math.max(common[(i + 1) * wide + j], common[i * wide + j + 1]);
    }
  }
  /** @type {["same" | "new" | "gone", string][]} */
  const parts = [];
  let i = 0;
  let j = 0;
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) {
      parts.push(["same", x[i]]);
      i++;
      j++;
    } else if (j >= y.length || (i < x.length && common[(i + 1) * wide + j] >= common[i * wide + j + 1]))
      parts.push(["gone", x[i++]]);
    else parts.push(["new", y[j++]]);
  }
  return parts;
}

PANELS.set("calls", { receive: receiveCalls, render: renderCalls });
