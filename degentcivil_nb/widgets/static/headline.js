// The head line: figures of stable width, three buttons, and what became of the last press.

const RUN_SIGNS = { running: "▶", pausing: "◐", paused: "⏸", finished: "■", dead: "✕" };
const LINK_SIGNS = { live: "●", connecting: "◌", reconnecting: "↻", closed: "✕" };
const QUEUED_AFTER_MS = 400;

function receiveHeadline(state, body) {
  const { jobs, ...figures } = body;
  Object.assign(state, figures);
  state.job = jobs[jobs.length - 1] ?? state.job;
}

function renderHeadline(state, el, { send }) {
  const bar = make("div", "dc-headline");
  bar.setAttribute("role", "toolbar");
  bar.setAttribute("aria-label", "The run");
  const run = figure("run", "dc-run");
  const tick = figure("tick", "dc-tick");
  const link = figure("link", "dc-link");
  const rate = figure("rate", "dc-rate", "/s");
  rate.el.title = "messages received a second";
  const lag = figure("lag", "dc-lag", "ms");
  const gaps = figure("gaps", "dc-gaps");
  const errors = figure("errors", "dc-errors");
  const recording = figure("recording", "dc-recording");
  const buttons = make("span", "dc-buttons");
  const steps = make("input", "dc-steps dc-number");
  Object.assign(steps, { type: "number", min: 1, value: 1, title: "how many ticks a step is" });
  steps.setAttribute("aria-label", "ticks a step");
  const pause = button("⏸ pause", "pause");
  const step = button("⏭ step", "step");
  const resume = button("▶ resume", "resume");
  buttons.append(pause, step, steps, resume);
  const feedback = make("div", "dc-feedback");
  feedback.setAttribute("role", "status");
  bar.append(run.el, tick.el, link.el, rate.el, lag.el, gaps.el, errors.el, recording.el, buttons);
  el.append(bar, feedback);
  let waiting = null;

  function figure(label, className, unit = "") {
    const box = make("span", `dc-reading ${className}`);
    const value = make("span", "dc-value", "–");
    box.append(make("span", "dc-label dc-dim", label), value);
    if (unit) box.append(make("span", "dc-unit dc-dim", unit));
    return { el: box, set(text, tone = "") { if (value.textContent !== text) value.textContent = text; box.dataset.tone = tone; } };
  }

  function button(text, command) {
    const it = make("button", `dc-${command}`, text);
    it.addEventListener("click", () => press(command));
    return it;
  }

  function press(command) {
    const id = Math.random().toString(36).slice(2);
    const content = { command, id, at: Date.now() };
    if (command === "step") content.ticks = Math.max(1, Math.round(Number(steps.value)) || 1);
    waiting = id;
    say(`${command}: sent`, "sent");
    setTimeout(() => {
      if (waiting === id) say(`${command}: queued, the kernel is busy and has not taken it yet`, "queued");
    }, QUEUED_AFTER_MS);
    send(content);
  }

  function say(text, tone) {
    feedback.textContent = visible(text);
    feedback.dataset.tone = tone;
  }

  const count = (n) => (n === null || n === undefined ? "–" : Math.round(n).toLocaleString("en-US"));
  return {
    draw() {
      const live = state.connection === "live";
      run.set(state.run_state ? `${RUN_SIGNS[state.run_state] ?? "?"} ${visible(String(state.run_state))}` : "–", state.run_state);
      tick.set(count(state.tick));
      link.set(`${LINK_SIGNS[state.connection] ?? "?"} ${visible(String(state.connection ?? "–"))}${state.circuit === "open" ? ", circuit open" : ""}${state.reconnects ? ` ↻${count(state.reconnects)}` : ""}`, live ? "good" : "bad");
      link.el.title = state.reconnects ? `reconnected ${count(state.reconnects)} times: the connection panel says when and why` : "";
      rate.set(count(state.messages_per_s));
      lag.set(state.lag_s === null || state.lag_s === undefined ? "–" : count(state.lag_s * 1000));
      gaps.set(count(state.gaps), state.gaps ? "warn" : "");
      gaps.el.title = state.gaps ? `${state.missing === null ? "an unknown number of" : count(state.missing)} events are missing: session.gaps()` : "nothing is missing";
      errors.set(count(state.errors), state.errors ? "warn" : "");
      const recorded = visible(String(state.recording ?? ""));
      recording.el.hidden = !recorded;
      recording.el.title = recorded;
      recording.set(recorded.length > 40 ? `${recorded.slice(0, 39)}…` : recorded, recorded === "writing" ? "good" : "bad");
      const commands = live && state.dialect === "v1";
      const over = state.run_state === "finished" || state.run_state === "dead";
      pause.disabled = !commands || over || state.run_state === "paused";
      step.disabled = !commands || over;
      resume.disabled = !commands || over || state.run_state === "running";
      bar.title = state.dialect && state.dialect !== "v1" ? "This server takes no commands." : "";
      const job = state.job;
      if (job && (waiting === null || job.id === waiting || job.state !== "sent")) {
        if (job.id === waiting) waiting = null;
        if (job.state === "sent") say(`${job.line}: on its way`, "sent");
        else say(`${job.line}: ${job.text}`, job.state);
      }
    },
  };
}

export default panel({ receive: receiveHeadline, render: renderHeadline });
