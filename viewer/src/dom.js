// Makes HTML elements. Texts are never parsed as HTML, so a name cannot contain markup.

export function element(tag, className = "", text = "", ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

/** Sets a text if it has changed. Setting the same text again would cost a layout of the page. */
export function setText(made, text) {
  if (made.textContent !== text) made.textContent = text;
}

/** The same for the width of a bar: a share of `wide` pixels, rounded to whole pixels. */
export function setWidth(made, share, wide = 200) {
  const text = `${Math.round(share * wide) / (wide / 100)}%`;
  if (made.style.width !== text) made.style.width = text;
}

export function button(label, title, onClick, className = "") {
  const made = element("button", className, label);
  made.type = "button";
  made.title = title;
  made.setAttribute("aria-label", title);
  made.addEventListener("click", () => {
    onClick();
    made.blur(); // otherwise the space bar would press it again
  });
  return made;
}

export function clock(seconds) {
  const whole = Math.max(Math.floor(seconds), 0);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

const ICONS = {
  play: "M7 4 L20 12 L7 20 Z",
  pause: "M6 4 H10 V20 H6 Z M14 4 H18 V20 H14 Z",
  start: "M5 4 H8 V20 H5 Z M20 4 L9 12 L20 20 Z",
  step: "M5 4 L15 12 L5 20 Z M16 4 H19 V20 H16 Z",
};

/** Puts a drawn icon into a button, because not every font has these symbols. */
export function setIcon(made, name) {
  if (made.dataset.icon === name) return made;
  made.dataset.icon = name;
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  made.replaceChildren(svg);
  return made;
}
