// The head line: figures of stable width, three buttons, and what became of the last press.

const RUN_ICONS = new Map([
  ["running", "running"],
  ["pausing", "pausing"],
  ["paused", "paused"],
  ["finished", "over"],
  ["unfinished", "over"],
  ["recording", "recording"],
  ["dead", "dead"],
]);
const OVER = new Set(["finished", "unfinished", "dead"]); // states that a run does not leave
const LINK_ICONS = new Map([
  ["live", "recording"],
  ["connecting", "connecting"],
  ["reconnecting", "again"],
  ["closed", "dead"],
  ["recording", "over"],
]);
const UNDONE_BY = new Map([
  ["pause", "running"],
  ["step", "running"],
  ["resume", "paused"],
]);
const SETTLED_MS = 2_000; // after this time the state of the run is younger than the answer to a command
const QUEUED_AFTER_MS = 400;
const QUIET_S = 3; // after this time without a checkpoint the line says so
const DONE_MS = 15_000; // after this time a done command is no longer shown

/** @type {Script<HeadlineState, HeadlineBody>["receive"]} */
function receiveHeadline(state, body) {
  const { jobs, ...figures } = body;
  Object.assign(state, figures);
  state.job = jobs[jobs.length - 1] ?? state.job;
}

/** @type {Script<HeadlineState, HeadlineBody>["render"]} */
function renderHeadline(state, el, { send, standing, signal }) {
  const bar = make("div", "dc-headline");
  bar.setAttribute("role", "toolbar");
  bar.setAttribute("aria-label", "The run");
  const run = figure("run", "dc-run");
  const tick = figure("tick", "dc-tick");
  const link = figure("link", "dc-link", "", "connection");
  const rate = figure("rate", "dc-rate", "/s");
  rate.el.title = "messages received a second";
  const lag = figure("lag", "dc-lag", "ms");
  const quiet = figure("", "dc-quiet");
  const gaps = figure("gaps", "dc-gaps", "", "connection");
  const errors = figure("errors", "dc-errors", "", "errors");
  const findings = figure("findings", "dc-findings", "", "findings");
  const recording = figure("recording", "dc-recording");
  const parameters = figure("parameters", "dc-parameters");
  const buttons = make("span", "dc-buttons");
  const steps = make("input", "dc-steps dc-number");
  Object.assign(steps, { type: "number", min: "1", value: "1", title: "how many ticks a step is" });
  steps.setAttribute("aria-label", "ticks a step");
  const pause = button("paused", "pause");
  const step = button("step", "step");
  const resume = button("running", "resume");
  buttons.append(pause, step, steps, resume);
  const feedback = make("div", "dc-feedback");
  feedback.setAttribute("role", "status");
  bar.append(
    run.el,
    tick.el,
    link.el,
    quiet.el,
    rate.el,
    lag.el,
    gaps.el,
    errors.el,
    findings.el,
    recording.el,
    parameters.el,
    buttons,
  );
  el.append(bar, feedback);
  /** @type {string | null} */
  let waiting = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let clearing;
  /** @type {Job | null} */
  let told = null; // the job that the line was last about
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let settling;
  signal.addEventListener("abort", () => {
    clearTimeout(clearing);
    clearTimeout(settling);
  });

  // A value; a click opens the tab with the details, if there is one.
  /**
   * @param {string} label
   * @param {string} className
   */
  function figure(label, className, unit = "", tab = "") {
    const box = make(tab ? "button" : "span", `dc-reading ${className}`);
    if (tab) box.addEventListener("click", () => announce(el, "dc-open", tab));
    const value = make("span", "dc-value", "–");
    box.append(make("span", "dc-label dc-dim", label), value);
    if (unit) box.append(make("span", "dc-unit dc-dim", unit));
    let pictured = "";
    return {
      el: box,
      /** @param {boolean} on */
      show(on) {
        box.hidden = !on;
      },
      /** @param {string} text */
      set(text, tone = "", picture = "") {
        if (value.textContent !== text || pictured !== picture) {
          value.textContent = text;
          if (picture) value.prepend(icon(picture));
        }
        pictured = picture;
        box.dataset.tone = tone;
      },
    };
  }

  /**
   * @param {string} picture
   * @param {string} command
   */
  function button(picture, command) {
    const it = make("button", `dc-${command}`);
    it.append(icon(picture), document.createTextNode(command));
    it.addEventListener("click", () => press(command));
    return it;
  }

  /** @param {string} command */
  function press(command) {
    const pressed = { pause, step, resume }[command];
    if (standing()?.over || pressed?.disabled || buttons.hidden) return; // the keyboard must not do more than a hand
    const id = Math.random().toString(36).slice(2);
    /** @type {{command: string, id: string, at: number, ticks?: number}} */
    const content = { command, id, at: Date.now() };
    if (command === "step") content.ticks = Math.max(1, Math.round(Number(steps.value)) || 1);
    waiting = id;
    say(`${command}: sent`, "sent");
    setTimeout(() => {
      if (waiting === id) say(`${command}: queued, the kernel is busy and has not taken it yet`, "queued");
    }, QUEUED_AFTER_MS);
    send(content);
  }

  el.closest(".dc-widget")?.addEventListener(
    "keydown",
    (event) => {
      if (!(event instanceof KeyboardEvent) || isTyping(event) || event.ctrlKey || event.metaKey || event.altKey)
        return;
      if (event.target instanceof HTMLButtonElement) return; // which has its own use for the keys
      if (event.key === " ") press(state.run_state === "paused" ? "resume" : "pause");
      else if (event.key === "ArrowRight") press("step");
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    { signal },
  );

  /**
   * @param {string} text
   * @param {string} tone
   */
  function say(text, tone) {
    feedback.textContent = visible(text);
    if (tone === "error" || tone === "done") feedback.prepend(icon(tone === "done" ? "done" : "dead"), " ");
    feedback.dataset.tone = tone;
  }

  // What was done is dated and goes by itself; what failed is dated and stays.
  /** @param {Job} job */
  function report(job) {
    if (job.number === told?.number && job.changed === told.changed) return;
    told = job;
    clearTimeout(clearing);
    clearTimeout(settling);
    settling = undefined;
    if (job.state === "sent") {
      say(`${job.line}: on its way`, "sent");
      return;
    }
    const age = job.at ? Date.now() - job.at * 1000 : 0;
    if (job.state === "done" && age > DONE_MS) {
      say("", "");
      return;
    }
    say(`${job.line}: ${job.text}${job.at ? `, at ${localTime(job.at).replace(/\.\d+$/, "")}` : ""}`, job.state);
    if (job.state !== "done") return;
    settling = setTimeout(() => {
      settling = undefined;
      forget();
    }, SETTLED_MS);
    clearing = setTimeout(() => say("", ""), DONE_MS - Math.max(0, age));
  }

  // "resume: running" is not said of a run that has stopped since.
  function forget() {
    if (told?.state !== "done" || waiting !== null || settling !== undefined) return;
    if (state.run_state === UNDONE_BY.get(told.line.split(" ")[0])) say("", "");
  }

  // The state of the run; after the connection is gone, its last known state.
  /** @param {boolean} known */
  function showRun(known) {
    const name = state.run_state ? visible(String(state.run_state)) : "";
    const sure = known || OVER.has(state.run_state ?? "");
    const shown = sure ? name : `was ${name}`;
    const why = state.why ? visible(state.why) : "";
    const cut = why.length > 48 ? `${why.slice(0, 47)}…` : why;
    run.set(
      name ? `${shown}${cut && ` ${cut}`}` : "–",
      sure && name ? name : "",
      sure ? (RUN_ICONS.get(state.run_state ?? "") ?? "") : "",
    );
    run.el.title = why;
  }

  /** @param {Standing | null} at */
  function showLink(at) {
    const still = state.connection === "recording";
    if (at?.kernel) {
      link.set(at.sign ?? "–", "bad", at.over ? "dead" : "connecting");
      return;
    }
    const again = state.reconnects ? `, ${formatCount(state.reconnects)} × reconnected` : "";
    const circuit = state.circuit === "open" ? ", circuit open" : "";
    link.set(
      `${visible(String(state.connection ?? "–"))}${circuit}${again}`,
      state.connection === "live" ? "good" : still ? "" : "bad",
      LINK_ICONS.get(state.connection ?? "") ?? "ring",
    );
    link.el.title = state.reconnects
      ? `reconnected ${formatCount(state.reconnects)} times: the connection panel says when and why`
      : "";
  }

  // How long nothing has arrived, while the run is said to be running.
  /** @param {boolean} known */
  function showQuiet(known) {
    const [seconds, what] =
      typeof state.checkpoint_age_s === "number"
        ? [state.checkpoint_age_s, "last checkpoint"]
        : [state.message_age_s, "last message"];
    const told =
      known &&
      typeof seconds === "number" &&
      seconds >= QUIET_S &&
      (state.run_state === "running" || state.run_state === "pausing" || !state.run_state);
    quiet.show(told);
    if (told) quiet.set(`${what} ${Math.floor(seconds).toLocaleString("en-US")} s ago`, "warn");
    quiet.el.title = "the simulation is busy with one long tick, waits for something, or hangs";
  }

  function draw() {
    const at = standing();
    const gone = at?.kernel === true;
    const still = state.connection === "recording"; // a run that is looked at from disk
    const live = !gone && state.connection === "live";
    showRun(live || (still && !gone));
    tick.set(formatCount(state.tick));
    showLink(at);
    showQuiet(live);
    for (const each of [rate, lag]) each.show(!still);
    errors.show(!still || typeof state.errors === "number");
    rate.set(live ? formatCount(state.messages_per_s) : "–");
    lag.set(live && typeof state.lag_s === "number" ? formatCount(state.lag_s * 1000) : "–");
    gaps.set(formatCount(state.gaps), state.gaps ? "warn" : "");
    gaps.el.title = state.gaps
      ? `${state.missing === null ? "an unknown number of" : formatCount(state.missing)} events are missing: session.gaps()`
      : "nothing is missing";
    errors.set(formatCount(state.errors), state.errors ? "warn" : "");
    findings.show(typeof state.findings === "number");
    findings.set(formatCount(state.findings), state.findings ? "warn" : "");
    findings.el.title = state.fresh ? `${formatCount(state.fresh)} of them new since you last looked here` : "";
    findings.el.toggleAttribute("data-fresh", !!state.fresh);
    const recorded = visible(String(state.recording ?? ""));
    recording.show(recorded !== "");
    recording.el.title = recorded;
    const cut = recorded.length > 40 ? `${recorded.slice(0, 39)}…` : recorded;
    recording.set(gone ? `was ${cut}` : cut, gone ? "" : recorded === "writing" ? "good" : "bad");
    parameters.show(!!state.parameters);
    parameters.set(visible(String(state.parameters ?? "")));
    parameters.el.title = visibleLines(String(state.parameters_all ?? ""));
    const commands = live && at === null && state.dialect === "v1";
    const over = OVER.has(state.run_state ?? "");
    pause.disabled = !commands || over || state.run_state === "paused";
    step.disabled = steps.disabled = !commands || over;
    resume.disabled = !commands || over || state.run_state === "running";
    buttons.hidden = still;
    buttons.title = whyNot(at, over);
    if (waiting !== null && gone && at.over) {
      waiting = null;
      say("the kernel is gone: it is unknown whether the command was run", "error");
    }
    forget();
    const job = state.job;
    if (job && (waiting === null ? !at?.over : job.id === waiting || job.state !== "sent")) {
      if (job.id === waiting) waiting = null;
      report(job);
    }
  }

  /**
   * @param {Standing | null} at
   * @param {boolean} over
   */
  function whyNot(at, over) {
    if (at !== null) return `${visible(at.what)}.`;
    if (state.dialect && state.dialect !== "v1") return "This server takes no commands.";
    if (over) return "The run is over.";
    return state.connection === "live" ? "" : "There is no connection to the simulation.";
  }

  return { draw, stand: draw };
}

PANELS.set("headline", { receive: receiveHeadline, render: renderHeadline });
