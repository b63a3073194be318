// The whole of one row, as text.
/** @returns {DetailView} */
function makeDetail() {
  const el = make("section", "dc-detail");
  el.setAttribute("aria-label", "All of the row");
  const bar = make("div", "dc-bar");
  const title = make("strong", "dc-detail-title");
  const close = make("button", "", "close");
  const text = make("pre");
  text.tabIndex = 0;
  bar.append(title, close);
  el.append(bar, text);
  el.hidden = true;
  const hide = () => hideAndReturn(el);
  close.addEventListener("click", hide);
  el.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
  return {
    el,
    wait(key) {
      title.textContent = visible(key);
      text.textContent = "…";
      el.hidden = false;
      el.scrollIntoView({ block: "nearest" });
    },
    show(detail) {
      title.textContent = visible(detail.title);
      text.textContent = visibleLines(detail.text);
      el.scrollIntoView({ block: "nearest" });
    },
  };
}
