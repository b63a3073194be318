// Development only: what the scripts say to each other and to Python, declared once. The names are those of the JSON.

// --- what the page may rely on -------------------------------------------------------------------------------------

type Signal<T> = { connect(call: (sender: unknown, value: T) => void): void; disconnect(call: (sender: unknown, value: T) => void): void };
type Sent = { done?: Promise<unknown> };
type PageComm = {
  onClose: () => void;
  commsOverSubshells?: string;
  subshellStarted?: Promise<unknown>;
  isDisposed: boolean;
  open(data: unknown): Sent;
  send(data: unknown): Sent;
  close(): void;
  dispose(): void;
};
type Kernel = {
  createComm?(target: string): PageComm;
  statusChanged?: Signal<string>;
  connectionStatusChanged?: Signal<string>;
  disposed?: Signal<void>;
};
type PartFields = [key: string, script: string, title: string, place: string];
type Model = {
  get(name: "_key" | "_target" | "_code" | "_kind"): string;
  get(name: "_parts"): PartFields[];
  on(name: "msg:custom", call: (message: Message, buffers: Buffers) => void): void;
  off(name: "msg:custom", call: (message: Message, buffers: Buffers) => void): void;
  send(content: unknown): Promise<unknown> | undefined;
  widget_manager?: { kernel?: Kernel };
};
type ClassicEvents = { on(name: string, call: () => void): void; off?(name: string, call: () => void): void };
declare var Jupyter: { notebook?: { events?: ClassicEvents } } | undefined;

// --- what every panel is told (widgets/panel.py) and what it says --------------------------------------------------

type Standing = { what: string; todo: string; since: number | null; over: boolean; sign?: string; kernel?: boolean };
type Moment = { row: number; tick: number | null; time: number };
type Pointed = { moment: Moment | null; character: string | null; row: number | null };
type Envelope = { panel: string; standing: Standing | null; cursor: Pointed | null };
type UpdateMessage =
  | (Envelope & { kind: "update"; n: number; full: boolean; moment: Moment | null })
  | (Envelope & { kind: "failure"; n: number; full?: undefined; moment?: undefined });
type Message = UpdateMessage | (Envelope & { kind: "beat"; reading?: boolean }) | { kind: "code" };
type Said = {
  kind: "show" | "hide" | "hole" | "ack" | "input" | "point" | "code";
  client?: string;
  panel?: string;
  drawn?: Record<string, number>;
  content?: Input | Pointing;
};
type Pointing = {
  live?: true;
  row?: number;
  tick?: number;
  time?: number;
  select?: { character: string | null; row: number | null };
};
type Input =
  | { command: string; id: string; at: number; ticks?: number }
  | { line: string; id: string }
  | { reconnect: true }
  | { detail: string }
  | { offers: string }
  | { chain: string; to: "causes" | "effects" | "talk" }
  | { again: string }
  | { page: "earlier" | "later" | "newest" }
  | { search: string }
  | { words: string; zone: string }
  | { sort: Sort | null }
  | { step: 1 | -1 }
  | { jump: 1 | 0 | -1; to: string }
  | { want: "script" }
  | { inspect: true }
  | { charts: string[] }
  | { talk: string | null }
  | { malformed: string | null }
  | { call: number }
  | { set: [name: string, text: string] }
  | { inject: [kind: string, text: string] }
  | { break: string; hits: number; once: boolean; name?: string }
  | { watch: string }
  | { unwatch: string }
  | { control: "take" | "give" }
  | { name: string; enable: boolean }
  | { name: string; remove: true }
  | { sight: Sight };
type Buffers = DataView<ArrayBuffer>[];
type ViewTools = {
  send: (content: Input) => void;
  go: (content: Pointing) => void;
  standing: () => Standing | null;
  cursor: () => Pointed;
  moment: () => Moment | null;
  signal: AbortSignal;
};
type View<Body> = { draw(body?: Body, buffers?: Buffers, full?: boolean): unknown; stand?(): void; point?(): void };
type Script<State, Body> = {
  receive(state: State, body: Body, buffers: Buffers, full: boolean): void;
  keep?(body: Body, buffers: Buffers): void;
  render(state: State, el: HTMLElement, tools: ViewTools): View<Body>;
};
type Shown = {
  visible: boolean;
  draw(...update: [] | [any, Buffers, boolean]): void;
  fail(text: string): void;
  reads(on: boolean): void;
  stand(): void;
  point(): void;
};
type Tools = {
  standing: () => Standing | null;
  cursor: () => Pointed;
  say(panel: string, kind: Said["kind"], more?: Partial<Said>): void;
  drew(panel: string, n: number, soon: boolean): void;
  wake(): void;
};
type Wire = { send(content: Said): void; close(): void };
type Line = Wire & { trouble: (name: string) => void; troubles: string[]; reopen(): void; host?: Host };
type Host = { render(el: HTMLElement, signal?: AbortSignal): () => void; close(): void };
type Code = { open(model: Model, line: Line): Host };
type Slot = {
  asked: number;
  here: boolean;
  promise: Promise<Code>;
  resolve(code: Code): void;
  reject(error: unknown): void;
};
declare const STYLE: string; // all style sheets, put in front of the scripts by page_widget.py
type Life = {
  tell(name: string): void;
  heard(): void;
  showing(on: boolean): void;
  problem(): Standing | null;
  close(): void;
};

// --- the time bar (widgets/time_bar.py) ----------------------------------------------------------------------------

type Marks = [count: number, marks: [time: number, text: string][]];
type SearchStatus = {
  text: string;
  problem: string;
  hits: number;
  busy: boolean;
  judged: number;
  held: number;
  asks: number;
};
type TimeBarBody = { search: SearchStatus; said: string; hint: string; held: number; live: boolean; marks?: Record<string, Marks> } & (
  | { first: null }
  | {
      first: number;
      last: number;
      ticks: [number | null, number | null];
      width: number;
      starts: number[];
      counts: number[];
      errors: number[];
      marks: Record<string, Marks>;
    }
);
type TimeBarState = { body?: TimeBarBody };

// --- commands (widgets/command_log.py) -----------------------------------------------------------------------------

type Job = {
  number: number;
  id: string;
  line: string;
  state: "sent" | "done" | "error";
  text: string;
  changed: number;
  at: number | null;
};

// --- the head line (widgets/headline.py) ---------------------------------------------------------------------------

type Count = number | string | null; // a whole number beyond 2^53 comes as its digits
type HeadlineFigures = {
  connection: string | null;
  run_state: string | null;
  why: string;
  tick: Count;
  messages_per_s: Count;
  lag_s: Count;
  gaps: Count;
  missing: Count;
  errors: Count;
  findings: number | null;
  fresh: number;
  circuit: string | null;
  dialect: string | null;
  reconnects: Count;
  recording: string | null;
  checkpoint_age_s: Count;
  message_age_s: Count;
  parameters: string;
  parameters_all: string;
};
type HeadlineBody = HeadlineFigures & { jobs: Job[] };
type HeadlineState = Partial<HeadlineFigures> & { job?: Job };

// --- the connection (widgets/connection_panel.py) ------------------------------------------------------------------

type ConnectionBody = {
  rows: [name: string, label: string, value: string | number | boolean | null][];
  health: string[];
  journal: [time: number, text: string][];
  lines: number;
  attempt: { state: string; text: string };
  can_reconnect: boolean;
};

// --- the console (widgets/console.py) ------------------------------------------------------------------------------

type Argument = [name: string, kind: string, needed: boolean];
type Offer = { name: string; usage: string; doc: string; arguments: Argument[] };
type ConsoleBody = { jobs?: Job[]; offered?: Offer[] };
type ConsoleState = { jobs?: Map<number, Job>; offered?: Offer[] };

// --- tables (widgets/packing.py, widgets/table.py) -----------------------------------------------------------------

type Kind = "text" | "state" | "number" | "time";
type Column = { name: string; kind: Kind; label: string };
type Place = [type: string, offset: number, length: number];
type PackedNumbers = { n: Place; exact?: [place: number, digits: string][] };
type PackedTimes = { t: Place; base: number };
type PackedTexts = { u: (string | null)[]; c: Place; colours?: string[] };
type Packed = PackedNumbers | PackedTimes | PackedTexts;
type PackedPlaces = { at: Place } | { among: Place };
type Detail = { key: string; title: string; text: string; call?: Call; before?: Call | null };
type DetailView = { el: HTMLElement; wait(key: string): void; show(detail: Detail): void };
type RowActs = {
  key: string;
  row: number | null;
  chains: boolean;
  talks: boolean;
  can_break: boolean;
  breaks: [text: string, condition: string][];
};
type ChainLink = [
  depth: number,
  row: number | null,
  time: number | null,
  tick: number | null,
  type: string | null,
  character: string | null,
  grade: string,
  text: string,
];
type ChainBody = { title: string; links: ChainLink[]; notes: string[]; key?: string };
type RowActsView = {
  el: HTMLElement;
  chain: HTMLElement;
  choose(key: string): void;
  ask(key: string, x: number, y: number, from: HTMLElement): void;
  take(body: TableBody): void;
  draw(): void;
};
type MenuItem = { text: string; title?: string; act?: () => void };
type RowWindow = {
  all: number;
  earlier: number;
  later: number;
  searched: SearchStatus | null;
  tail: boolean;
  words: SearchStatus | null;
  sorted: (Sort & SearchStatus) | null;
};
type TableBody = {
  columns?: Column[];
  set?: Record<string, Packed & PackedPlaces>;
  add?: { keys: string[]; cells: Record<string, Packed> };
  keep?: number;
  empty?: string;
  note?: string;
  follow?: boolean;
  tones?: string;
  detail?: Detail;
  acts?: RowActs;
  chain?: ChainBody;
  said?: { text: string; failed: boolean };
  picks?: string;
  breaks?: boolean;
  window?: RowWindow;
  spots?: [name: string, x: number, y: number][];
};
type Cell = string | number | bigint | null;
type Cells = Map<string, Cell[]>;
type TableState = {
  columns?: Column[];
  keys: string[];
  cells: Cells;
  colours: Map<string | null, string>;
  dropped: number;
  empty?: string;
  note?: string;
  follow?: boolean;
  tones?: string;
  picks?: string;
  breaks?: boolean;
  window?: RowWindow;
};
type Sort = { name: string; direction: 1 | -1 };
type GridRow = {
  el: HTMLElement;
  cells: { el: HTMLElement; chip: HTMLElement | null; text: Text }[];
  place: number;
};
type GridSource = {
  key(row: number): string;
  value(row: number, name: string): Cell;
  text(row: number, column: Column): string;
  colour(text: Cell): string;
  tone(row: number): string;
  mark(row: number): string;
};

// --- the debugger (widgets/debug_panel.py) -------------------------------------------------------------------------

type BreakpointFields = {
  name: string | null;
  condition: string | null;
  owner: string | null;
  problem: string | null;
  hits: string | null;
  log: string | null;
  last_tick: string | null;
  last_character_id: string | null;
  enabled: boolean;
  verified: boolean;
  once: boolean;
  stops_at: number;
  mine: boolean;
};
type WatchFields = {
  name: string;
  character: string | null;
  value: string | null;
  tick: string | null;
  row: number | null;
  mine: boolean;
};
type DebugBody = {
  breakpoints: BreakpointFields[];
  stops: [
    time: number | null,
    tick: string | null,
    name: string | null,
    character: string | null,
    row: number | null,
  ][];
  all_stops: number;
  watches: WatchFields[];
  all_watches: number;
  values: number;
  searched: number;
  control: { text: string; mine: boolean; asked: boolean } | null;
  stopped: string;
  can: boolean;
  said: { text: string; failed: boolean; about: string };
  answers: [ask: string, failed: boolean][];
  refused: Record<string, string>;
  asking: string;
  busy: boolean;
};
type DebugState = { body?: DebugBody };

// --- the map (widgets/map_panel.py) -------------------------------------------------------------------------------

type MapState = TableState & { spots?: Map<string, [number, number]> };

// --- the timeline (widgets/timeline.py) ----------------------------------------------------------------------------

type Sight = {
  start: number | null;
  end: number | null;
  first: number;
  count: number;
  pixels: number;
  order: string;
  words: string;
};
type TimelineBody = {
  all: number;
  total: number;
  first: number;
  lanes: string[];
  chosen: number | null;
  span: [first: number, last: number];
  start: number;
  end: number;
  gaps: [time: number, text: string][];
  errors: [lane: number, time: number, text: string, row: number][];
  all_gaps: number;
  all_errors: number;
  states: string[];
  colours: string[];
  places: string[];
  lane: Place;
  from: Place;
  to: Place;
  state: Place;
  place: Place;
  many: Place;
  open: Place;
};
type StayLists = Record<"lane" | "from" | "to" | "state" | "place" | "many" | "open", ArrayLike<number> & Iterable<number>>;
type TimelineState = { body?: TimelineBody; stays?: StayLists };

// --- calls of language models (widgets/llm_table.py) ---------------------------------------------------------------

type Call = {
  row: number;
  time: number | null;
  tick: number | null;
  latency_s: number | null;
  prompt_tokens: number | null;
  completion_tokens: number | null;
  cost_usd: number | null;
  character_id: string | null;
  prompt_type: string | null;
  model: string | null;
  error: string | null;
  prompt: unknown;
  response: unknown;
};
type CallTotals = [
  model: string,
  calls: number,
  errors: number,
  prompt: number,
  completion: number,
  latency: number | null,
  cost: number | null,
  counted: number | null, // the calls that told their tokens; null if that is not known
  timed: number | null,
  priced: number | null,
];
type Talks = {
  listed: [who: string, count: number, row: number, tick: number | null, endless: number][];
  all: number;
  chosen: string | null;
};
type ChatBody = TableBody & { talks?: Talks };
type ChatState = TableState & { talks?: Talks };
type Malformed = {
  judged: number;
  calls: number;
  cost: number;
  characters: number;
  most: [character: string, calls: number, cost: number][];
  only: string | null;
};
type CallsBody = TableBody & { totals?: CallTotals[]; malformed?: Malformed };
type CallsState = TableState & { totals?: CallTotals[]; malformed?: Malformed };

// --- the page of a character (widgets/character_page.py) -----------------------------------------------------------

type Tree = { of: string; state: "sent" | "done" | "error"; value: unknown; text: string };
type Lane = {
  stays: [from: number, to: number, state: string, place: string | null, colour: string][];
  all: number;
  start: number;
  end: number;
};
type CharacterBody = {
  live: boolean;
  until: number | null;
  lane?: Lane | null;
  findings: [severity: string, text: string, row: number | null][];
  breaks?: [text: string, condition: string][];
  said?: { text: string; failed: boolean } | null;
  read?: Call | null;
  character: string | null;
  own: boolean;
  known?: boolean;
  tree: Tree | null;
  can_inspect: boolean;
  state: string | null;
  location: string | null;
  since: number | null;
  since_tick: number | null;
  seen: number | null;
  attributes: [name: string, text: string | null, series: number[] | null][];
  more: number;
  events: [row: number, time: number | null, tick: number | null, text: string][];
  calls: [
    row: number,
    time: number | null,
    kind: string | null,
    model: string | null,
    latency: number | null,
    error: string | null,
    response: string | null,
  ][];
  chat: [row: number, time: number | null, speaker: string | null, to: string, text: string][];
  searched?: [calls: [most: number, all: number], messages: [most: number, all: number]];
};
type CharacterState = { body?: CharacterBody };

// --- figures (widgets/live_figure.py) ------------------------------------------------------------------------------

type FigureArray = { buffer: number } | any[]; // plotly's data: of any kind
type Trace = Record<string, any>;
type Layout = Record<string, any>;
type Change = { trace: number; drop: number; keep: number; tails: Record<string, FigureArray> };
type FigureBody = {
  script?: number;
  figure?: { layout: Layout; traces: Trace[] };
  arrays?: Record<string, FigureArray>[];
  layout?: Layout;
  changes?: Change[];
};
type ChartsBody = FigureBody & { offered?: string[]; chosen?: string[]; unoffered?: number };
type ChartsState = FigureState & { offered?: string[]; chosen?: string[]; unoffered?: number };
type FigureState = { layout?: Layout; traces?: Trace[] };
type Plotly = {
  react(el: HTMLElement, data: Trace[], layout: Layout, options: object): Promise<unknown>;
  extendTraces(el: HTMLElement, added: Record<string, any[][]>, traces: number[], lengths: Record<string, number[]>): Promise<unknown>;
  purge(el: HTMLElement): void;
  Plots: { resize(el: HTMLElement): Promise<unknown> };
};
