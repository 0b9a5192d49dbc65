// The list of keys.
import { element } from "./dom.js";

const KEYS = [
  ["Space", "play or pause"],
  [", and .", "one frame back or on"],
  ["Left and Right", "2 seconds back or on; with Shift 10"],
  ["Home and End", "to the start, to the end"],
  ["+ and -", "speed, 0.25 to 4"],
  ["1 2 3 4", "camera: broadcast, follow, orbit, top"],
  ["C", "next camera"],
  ["Tab", "next car to follow"],
  ["B", "ball cam, or straight ahead"],
  ["N", "names above the cars"],
  ["I", "what the car chooses and expects"],
  ["F", "full screen"],
];
const LIVE_KEYS = [
  ["R", "restart from kickoff"],
  ["D", "likeliest actions, or drawn ones"],
  ["P", "place the ball: then click on the field"],
];

export class Help {
  constructor() {
    this.list = element("dl");
    this.root = element(
      "div",
      "help panel",
      "",
      element("h2", "", "Keys"),
      this.list,
      element("p", "", "H or ? closes this"),
    );
    this.root.hidden = true;
    this.root.addEventListener("click", () => this.toggle());
  }

  fill(live) {
    const rows = live ? [...KEYS, ...LIVE_KEYS] : KEYS;
    this.list.replaceChildren(...rows.flatMap(([key, what]) => [element("dt", "", key), element("dd", "", what)]));
  }

  toggle() {
    this.root.hidden = !this.root.hidden;
  }
}
