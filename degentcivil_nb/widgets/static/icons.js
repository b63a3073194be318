// Icons as drawings: characters such as the pause sign become coloured emoji on many systems. Each stands beside a word.

const ICONS = new Map([
  ["running", "M4 2.5v11l9-5.5z"],
  ["pausing", "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12v-1.6a4.4 4.4 0 0 0 0-8.8z"],
  ["paused", "M4 3h3v10H4zM9 3h3v10H9z"],
  ["step", "M3 2.5v11l7-5.5zM11 3h2.5v10H11z"],
  ["over", "M3.5 3.5h9v9h-9z"],
  ["recording", "M8 3.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 0 0 0-9z"],
  ["ring", "M8 3.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 0 0 0-9zM8 5a3 3 0 1 1 0 6a3 3 0 0 1 0-6z"],
  ["dead", "M3 4.4L4.4 3L8 6.6L11.6 3L13 4.4L9.4 8L13 11.6L11.6 13L8 9.4L4.4 13L3 11.6L6.6 8z"],
  [
    "clock",
    "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13zM8 3.1a4.9 4.9 0 1 1 0 9.8a4.9 4.9 0 0 1 0-9.8zM7.2 4.5v4l3 1.8l.8-1.3l-2.2-1.3V4.5z",
  ],
  ["up", "M8 4l5 8H3z"],
  ["down", "M8 12L3 4h10z"],
  ["newer", "M7.1 2h1.8v8.1l3.1-3.1l1.2 1.2L8 13.5L2.8 8.2L4 7l3.1 3.1z"],
  ["done", "M6.3 12.8L2 8.5l1.5-1.5l2.8 2.8L12.6 3.5L14 5z"],
  ["again", "M8 2.5a5.5 5.5 0 1 0 5.5 5.5h-1.7A3.8 3.8 0 1 1 8 4.2V6.5L12.5 3.4L8 .3z"],
  [
    "connecting",
    "M8 2.5v1.7A3.8 3.8 0 0 1 11.8 8h1.7A5.5 5.5 0 0 0 8 2.5zM8 13.5v-1.7A3.8 3.8 0 0 1 4.2 8H2.5A5.5 5.5 0 0 0 8 13.5z",
  ],
  ["previous", "M11 3v10L4 8z"],
  ["first", "M12 3v10L6 8zM3.5 3H6v10H3.5z"],
  ["next", "M5 3v10l7-5z"],
  ["warning", "M8 1.5L15 14H1zM7.2 6v4h1.6V6zM7.2 11v1.6h1.6V11z"],
]);

// Give an icon as a picture that screen readers pass over: the word beside it says the same.
/** @param {string} name */
function icon(name) {
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of [
    ["viewBox", "0 0 16 16"],
    ["class", "dc-icon"],
    ["aria-hidden", "true"],
  ])
    picture.setAttribute(key, value);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS.get(name) ?? "");
  path.setAttribute("fill", "currentColor");
  path.setAttribute("fill-rule", "evenodd");
  picture.append(path);
  return picture;
}
