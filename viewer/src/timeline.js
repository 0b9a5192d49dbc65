// The bar at the bottom: the position in the match, its events, and the buttons.
import { button, clock, element, setIcon, setText, setWidth } from "./dom.js";

const SHOWN = ["goal", "shot", "save", "demolition"]; // touches and pads would fill the bar

export class Timeline {
  constructor(player) {
    this.player = player;
    this.done = element("div", "done");
    this.knob = element("div", "knob");
    this.marks = element("div", "marks");
    this.bar = element("div", "bar", "", this.done, this.marks, this.knob);
    this.bar.tabIndex = 0;
    this.bar.setAttribute("role", "slider");
    this.bar.setAttribute("aria-label", "Time");
    this.now = element("span", "now", "0:00");
    this.total = element("span", "total", "0:00");
    this.play = button("", "Play or pause (space)", () => player.toggle(), "play");
    this.speed = button("1x", "Speed (+ and -)", () => player.changeSpeed(1, true), "speed");
    this.edge = button("LIVE", "Back to what happens now (End)", () => player.end(), "live");
    this.left = element(
      "div",
      "left",
      "",
      setIcon(
        button("", "Start (Home)", () => player.seek(player.first)),
        "start",
      ),
      this.play,
      setIcon(
        button("", "One frame on (.)", () => player.step(1)),
        "step",
      ),
      this.speed,
    );
    this.root = element("div", "timeline", "", this.left, this.now, this.bar, this.total, this.edge);
    this.count = -1;
    this.bar.addEventListener("pointerdown", (event) => {
      this.bar.setPointerCapture(event.pointerId);
      this.drag(event);
      this.bar.onpointermove = (moved) => this.drag(moved);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      this.bar.addEventListener(name, () => {
        this.bar.onpointermove = null;
        this.bar.blur();
      });
    }
  }

  drag(event) {
    const { left, width } = this.bar.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - left) / width, 0), 1);
    this.player.seek(this.player.first + share * (this.player.last - this.player.first));
  }

  update() {
    const { clip, first, last, tick } = this.player;
    const rate = clip.header.tick_rate;
    const share = last > first ? (tick - first) / (last - first) : 0;
    setWidth(this.done, share, 2000);
    if (this.knob.style.left !== this.done.style.width) this.knob.style.left = this.done.style.width;
    setText(this.now, clock(tick / rate));
    setText(this.total, clock(last / rate));
    this.bar.setAttribute("aria-valuenow", String(Math.round(tick / rate)));
    setIcon(this.play, this.player.playing ? "pause" : "play");
    setText(this.speed, `${this.player.speed}x`);
    this.edge.hidden = !clip.live;
    this.edge.classList.toggle("on", clip.live && this.player.following);
    if (clip.live || this.count !== clip.events.length) this.mark(clip, first, last);
  }

  mark(clip, first, last) {
    const events = clip.events.filter((event) => SHOWN.includes(event.kind));
    while (this.marks.childElementCount > events.length) this.marks.lastElementChild.remove();
    while (this.marks.childElementCount < events.length) this.marks.append(element("i"));
    events.forEach((event, i) => {
      const mark = this.marks.children[i];
      mark.className = `${event.kind} team-${event.team}`;
      mark.title = `${event.kind} ${clock(event.tick / clip.header.tick_rate)}`;
      mark.style.left = `${last > first ? ((event.tick - first) / (last - first)) * 100 : 0}%`;
    });
    this.count = clip.events.length;
  }
}
