// What the benchmark of the screen puts into the page: bytes from the kernel counted, and markers seen, once painted.
(() => {
  const bench = (window.degentcivilBench = { bytes: 0, messages: 0, seen: [], stop() {} });
  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...how) {
      super(...how);
      if (!String(how[0]).includes("/api/kernels/")) return;
      this.addEventListener("message", ({ data }) => {
        bench.bytes += typeof data === "string" ? data.length : (data.byteLength ?? data.size);
        bench.messages += 1;
      });
    }
  };

  const shown = (selector) => [...document.querySelectorAll(selector)].find((element) => element.clientWidth > 0);
  const number = (text) => Number(text.replace(/\D/g, "") || 0);
  const columnOf = (grid, name) =>
    [...grid.querySelectorAll(".dc-head .dc-sort")].findIndex((label) => label.title.endsWith(` ${name}`));
  const rowsOf = (grid) => [...grid.querySelectorAll(".dc-body .dc-row:not([hidden])")];

  // each gives how many markers what is on view includes
  const readers = {
    town(grid) {
      const row = rowsOf(grid).find((row) => row.children[0].textContent === "marker");
      return row ? number(row.children[columnOf(grid, "n")]?.textContent ?? "") : 0;
    },
    events(grid) {
      const column = columnOf(grid, "tick");
      return rowsOf(grid).reduce((most, row) => Math.max(most, number(row.children[column].textContent)), 0);
    },
    charts(plot) {
      // until when the line counts, in milliseconds; the program knows which markers that includes
      const trace = plot.data?.find((trace) => trace.name === "event_notification");
      return trace?.x.at(-1) ?? 0;
    },
  };
  const places = { town: ".dc-grid", events: ".dc-grid", charts: ".dc-figure.js-plotly-plot" };

  bench.watch = (name) => {
    bench.stop();
    const place = shown(places[name]);
    bench.seen = [];
    let last = readers[name](place);
    let waiting = false;
    const look = () => {
      const now = readers[name](place);
      if (now <= last || waiting) return;
      waiting = true;
      requestAnimationFrame(() => { // painting follows; what is posted comes after it
        const after = readers[name](place);
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => {
          const rate = place.data?.find((trace) => trace.name === "event_notification")?.y.at(-1) ?? 0;
          bench.seen.push([after, Date.now(), rate]);
          last = after;
          waiting = false;
          look();
        };
        port2.postMessage(0);
      });
    };
    const observer = new MutationObserver(look);
    observer.observe(place, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["d"] });
    bench.stop = () => observer.disconnect();
  };
})();
