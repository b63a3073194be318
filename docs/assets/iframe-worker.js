// Browsers start no worker from a file on disk. There, a hidden frame runs the worker's script instead, so that the
// search works in a built folder. The theme's own way is a script of the same name from another server.
if (location.protocol === "file:") {
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

    async postMessage(data) {
      const inside = await this.loaded;
      inside.dispatchEvent(new MessageEvent("message", {data}));
    }

    terminate() {}
  };
}
