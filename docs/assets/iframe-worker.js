// What a reader types becomes what the theme's search understands. It takes each word as the beginning of a word in the
// pages, so that the "I" of a question finds "intervention", and "characters" does not find "character".
const LITTLE_WORDS = new Set(
  ("a about actually after all am an and any are as at be been but by can cannot could did do does for from get give had has have how i if in into is it its just " +
    "like make many me more much must my need no not of on only or our out see should so some someone somebody start still than that the their them then there these they this to too " +
    "up use want was we were what when where which who whom why will with would you your").split(" "),
);

// Words of readers, by their beginnings, and the words of the pages that mean the same.
const MEANINGS = {
  agent: "character",
  npc: "character",
  villager: "character",
  coworker: "colleague",
  teammate: "colleague",
  spend: "costs",
  price: "costs",
  expensive: "costs",
  password: "secret",
  credential: "secret",
  freez: "hangs",
  crash: "error",
  graph: "figure",
  conversation: "chat",
  talk: "chat",
  edit: "change",
  modif: "change",
  variable: "attribute",
  propert: "attribute",
  remote: "ssh",
  cluster: "ssh",
  repeat: "loop",
};

function meaningsOf(word) {
  const lower = word.toLowerCase();
  return Object.keys(MEANINGS).filter((start) => lower.startsWith(start)).map((start) => MEANINGS[start]);
}

function wordsOf(question) {
  const words = question.split(/\s+/).filter((word) => word);
  const telling = words.filter((word) => !LITTLE_WORDS.has(word.toLowerCase().replace(/[?!.,:;]+$/, "")));
  const asked = telling.length ? telling : words;
  const shortened = asked.map((word) => word.replace(/[?!.,:;]+$/, "").replace(/^(\w{4,}?)(?:ings?|ed|es|s)$/, "$1"));
  return [...shortened, ...asked.flatMap(meaningsOf)].join(" ");
}

const isQuery = (message) => message.type === 2;
const rewritten = (message) => (isQuery(message) ? {...message, data: wordsOf(message.data)} : message);

if (location.protocol === "file:") {
  // Browsers start no worker from a file on disk. There, a hidden frame runs the worker's script instead, so that the
  // search works in a built folder. The theme's own way is a script from another server. The frame shares the page's
  // thread: of the questions that a reader types letter by letter only the latest is asked.
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = frame.contentWindow;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", {data}));
      this.loaded = new Promise((resolve, reject) => {
        const script = inside.document.createElement("script");
        script.src = url;
        script.onload = () => resolve(inside);
        script.onerror = () => reject(new Error(`${url} could not be loaded`));
        inside.document.body.append(script);
      });
    }

    async postMessage(message) {
      if (isQuery(message)) {
        this.latest = message;
        await new Promise((done) => setTimeout(done, 150));
        if (this.latest !== message) return;
      }
      const inside = await this.loaded;
      inside.dispatchEvent(new MessageEvent("message", {data: rewritten(message)}));
    }

    terminate() {}
  };
} else {
  window.Worker = class extends Worker {
    postMessage(message) {
      super.postMessage(rewritten(message));
    }
  };
}
