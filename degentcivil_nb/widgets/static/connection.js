// The connection: figures with their units, reasons, a journal, and a button that tries again.

const NOTHING_YET = "Nothing yet: connects, disconnects and retries are listed here.";
const STORED = "This is a recording: it has no connection, so there is nothing to list.";

/** @type {Script<Partial<ConnectionBody>, ConnectionBody>["receive"]} */
function receiveConnection(state, body) {
  Object.assign(state, body);
}

const BYTES = ["B", "kB", "MB", "GB", "TB"];
/** @param {number} n */
function formatBytes(n) {
  let i = 0;
  while (n >= 1000 && i < BYTES.length - 1) {
    n /= 1000;
    i++;
  }
  return `${i ? n.toFixed(1) : n} ${BYTES[i]}`;
}
/** @param {number} s */
function formatSpan(s) {
  if (s < 1) return `${(s * 1000).toFixed(1)} ms`;
  if (s < 120) return `${s.toFixed(0)} s`;
  return s < 7200 ? `${(s / 60).toFixed(0)} min` : `${(s / 3600).toFixed(1)} h`;
}
const WHOLE = /^-?\d{16,400}$/;
/**
 * @param {string} name
 * @param {ConnectionBody["rows"][0][2]} value
 */
function formatMetric(name, value) {
  if (value === null || (name === "uptime_s" && value === 0)) return "–"; // it is not up
  if (typeof value === "string" && WHOLE.test(value)) return formatCount(value); // beyond 2⁵³
  if (typeof value !== "number") return visible(String(value));
  if (name.startsWith("bytes_") || name.endsWith("_bytes")) return formatBytes(value);
  if (name === "messages_per_s") return `${value.toLocaleString("en-US", { maximumFractionDigits: 0 })} /s`;
  if (name.endsWith("_s")) return formatSpan(value);
  return value.toLocaleString("en-US");
}

/** @type {Script<Partial<ConnectionBody>, ConnectionBody>["render"]} */
function renderConnection(state, el, { send, standing }) {
  const health = make("div", "dc-health");
  health.setAttribute("role", "status");
  const bar = make("div", "dc-bar");
  const again = make("button", "dc-reconnect", "reconnect now");
  again.title = "Try to connect at once, and close the circuit breaker";
  again.addEventListener("click", () => send({ reconnect: true }));
  const outcome = make("span", "dc-dim");
  outcome.setAttribute("role", "status");
  bar.append(again, outcome);
  const columns = make("div", "dc-two");
  const figures = make("table", "dc-metrics");
  const right = make("div", "dc-journal");
  const heading = make("strong", "", "what happened");
  right.append(heading);
  const journal = make("ol");
  const none = make("div", "dc-dim");
  right.append(none, journal);
  columns.append(figures, right);
  el.append(health, bar, columns);
  /** @type {Map<string, HTMLTableCellElement>} */
  const cells = new Map();

  /**
   * @param {string} name
   * @param {string} label
   */
  function cell(name, label) {
    const known = cells.get(name);
    if (known) return known;
    const row = figures.insertRow();
    const head = make("th", "dc-dim", label);
    head.scope = "row";
    row.append(head);
    const made = row.insertCell();
    cells.set(name, made);
    return made;
  }

  /** @param {string} text */
  function reason(text, picture = "warning") {
    const line = make("div");
    line.append(icon(picture), document.createTextNode(visible(text)));
    return line;
  }

  // A button that cannot work looks so; figures of a kernel that is gone are as they were, as the sentence above says.
  function stand() {
    const at = standing();
    again.disabled = at?.over === true || state.attempt?.state === "sent" || !state.can_reconnect;
    again.title = at?.over ? `${visible(at.what)}.` : "Try to connect at once, and close the circuit breaker";
    bar.hidden = state.can_reconnect === false;
    if (at?.kernel) {
      health.dataset.tone = "warn";
      health.replaceChildren(reason(`${at.what}.`));
    }
  }

  return {
    stand,
    draw() {
      const { rows, health: reasons = [], attempt, journal: lines = [] } = state;
      if (!rows) return;
      for (const [name, label, value] of rows) {
        const text = formatMetric(name, value);
        const at = cell(name, label);
        if (at.textContent !== text) at.textContent = text;
      }
      health.dataset.tone = reasons.length ? "warn" : "good";
      health.replaceChildren(
        ...(reasons.length ? reasons.map((text) => reason(text)) : [reason("all is well", "done")]),
      );
      outcome.textContent = visible(attempt?.text ?? "");
      const [few, all] = [formatCount(lines.length), formatCount(state.lines)];
      heading.textContent =
        lines.length < (state.lines ?? 0) ? `what happened, the last ${few} of ${all}` : "what happened";
      none.hidden = lines.length > 0;
      none.textContent = state.can_reconnect === false ? STORED : NOTHING_YET;
      journal.replaceChildren(
        ...lines.toReversed().map(([time, text]) => {
          const line = make("li");
          const when = make("time", "dc-dim", localTime(time));
          when.title = utcTime(time);
          line.append(when, document.createTextNode(` ${visible(text)}`));
          return line;
        }),
      );
      stand();
    },
  };
}

PANELS.set("connection", { receive: receiveConnection, render: renderConnection });
