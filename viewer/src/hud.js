// The overlay: score and clock, names and boost, and the actions and value of the selected car.
import { Vector3 } from "three";
import { clock, element, setText, setWidth } from "./dom.js";
import { BLUE, ORANGE, TEAM_CSS, teamOf } from "./space.js";

const at = new Vector3();
const BANNER_SECONDS = 1.8;
const [LABEL_WIDTH, LABEL_HEIGHT] = [92, 24]; // px, about

/** A name of a checkpoint, such as step_000250000, without the zeros that sort it. */
const short = (name) => name.replace(/^step_0+(?=\d)/, "step_");

export function teamName(header, team) {
  const names = header.cars.filter((car) => teamOf(car) === team).map((car) => short(car.name));
  return [...new Set(names)].join(", ") || (team === BLUE ? "blue" : "orange");
}

/** What each car is called: its name, with a number where a team mate has the same one. */
export function carNames(header) {
  return header.cars.map((car) => {
    const same = header.cars.filter((other) => other.name === car.name && teamOf(other) === teamOf(car));
    return same.length > 1 ? `${short(car.name)} ${same.indexOf(car) + 1}` : short(car.name);
  });
}

export class Scoreboard {
  constructor() {
    this.names = [BLUE, ORANGE].map((team) => element("span", `team team-${team}`));
    this.goals = [BLUE, ORANGE].map((team) => element("span", `goals goals-${team}`, "0"));
    this.time = element("span", "clock", "0:00");
    this.note = element("div", "note");
    this.banner = element("div", "banner");
    const row = element("div", "score", "", this.names[0], this.goals[0], this.time, this.goals[1], this.names[1]);
    this.root = element("div", "scoreboard", "", row, this.note);
  }

  header(header) {
    this.names.forEach((span, team) => (span.textContent = teamName(header, team)));
    this.note.textContent = header.title ?? "";
  }

  update(clip, pose) {
    const { header } = clip;
    pose.score.forEach((goals, team) => setText(this.goals[team], String(goals)));
    const played = pose.tick / header.tick_rate;
    setText(this.time, clock(header.match_seconds ? Math.ceil(header.match_seconds - played - 1e-6) : played));
    const goal = lastEvent(clip, pose.tick, "goal", BANNER_SECONDS * header.tick_rate);
    const style = goal ? `banner shown banner-${goal.team}` : "banner";
    if (this.banner.className !== style) this.banner.className = style;
    if (goal) {
      const scorer = header.cars.findIndex((car) => car.slot === goal.slot);
      setText(this.banner, scorer < 0 ? "GOAL" : `GOAL  ${carNames(header)[scorer]}`);
    }
  }
}

/** Returns the newest event of a kind at a tick, at most `within` ticks old. */
export function lastEvent(clip, tick, kind, within = Infinity) {
  for (let i = clip.events.length - 1; i >= 0; i--) {
    const event = clip.events[i];
    if (event.tick > tick || event.kind !== kind) continue;
    return tick - event.tick <= within ? event : null;
  }
  return null;
}

/** A name with a bar of boost above every car. */
export class Labels {
  constructor() {
    this.root = element("div", "labels");
    this.shown = true;
  }

  header(header) {
    this.root.replaceChildren();
    const names = carNames(header);
    this.labels = header.cars.map((car, k) => {
      const fill = element("i");
      const label = element(
        "div",
        `label label-${teamOf(car)}`,
        "",
        element("b", "", names[k]),
        element("div", "bar", "", fill),
      );
      this.root.append(label);
      return { label, fill };
    });
  }

  update(pose, camera, width, height, hidden) {
    const placed = [];
    pose.cars.forEach((car, k) => {
      const { label, fill } = this.labels[k];
      at.copy(car.place);
      at.y += 1.5;
      at.project(camera);
      const visible =
        this.shown && !car.demoed && k !== hidden && at.z < 1 && Math.abs(at.x) < 1.1 && Math.abs(at.y) < 1.1;
      label.style.display = visible ? "" : "none";
      if (!visible) return;
      placed.push({ label, x: ((at.x + 1) / 2) * width, y: ((1 - at.y) / 2) * height });
      setWidth(fill, car.boost / 100);
    });
    for (const { label, x, y } of apart(placed)) {
      label.style.transform = `translate(-50%, -100%) translate(${Math.round(x)}px, ${Math.round(y)}px)`;
    }
  }
}

/** Labels that would cover each other, one above the other, the lowest first. */
function apart(labels) {
  labels.sort((a, b) => b.y - a.y);
  labels.forEach((label, i) => {
    for (const lower of labels.slice(0, i)) {
      const beside = Math.abs(lower.x - label.x) >= LABEL_WIDTH;
      if (!beside) label.y = Math.min(label.y, lower.y - LABEL_HEIGHT);
    }
  });
  return labels;
}

/** The boost of all cars, at the left and right edge. A click selects the car for the camera. */
export class Roster {
  constructor(onChoose) {
    this.root = element("div", "roster");
    this.onChoose = onChoose;
  }

  header(header) {
    this.root.replaceChildren();
    const names = carNames(header);
    this.rows = header.cars.map((car, k) => {
      const team = teamOf(car);
      const number = element("span", "number");
      const fill = element("i");
      const row = element(
        "button",
        `player player-${team}`,
        "",
        element("b", "", names[k]),
        number,
        element("div", "bar", "", fill),
      );
      row.type = "button";
      row.title = `Follow this car (${k + 1})`;
      row.addEventListener("click", () => (this.onChoose(k), row.blur()));
      this.root.append(row);
      return { row, number, fill };
    });
  }

  update(pose, chosen) {
    pose.cars.forEach((car, k) => {
      const { row, number, fill } = this.rows[k];
      row.classList.toggle("chosen", k === chosen);
      row.classList.toggle("demoed", car.demoed);
      setText(number, car.demoed ? "demolished" : String(Math.round(car.boost)));
      setWidth(fill, car.demoed ? 0 : car.boost / 100);
    });
  }
}

const NAMES = ["throttle", "steer", "pitch", "yaw", "roll", "jump", "boost", "handbrake"];
const WORDS = [
  ["reverse", "throttle"],
  ["left", "right"],
  ["nose down", "nose up"],
  ["yaw left", "yaw right"],
  ["roll left", "roll right"],
];

/** Returns a row of the action table in words. Equal controls, such as yaw and steer, are named once. */
export function describe(controls) {
  const words = [];
  for (let k = 0; k < 5; k++) {
    if (k === 3 && controls[3] === controls[1]) continue;
    if (controls[k]) words.push(WORDS[k][controls[k] > 0 ? 1 : 0]);
  }
  for (let k = 5; k < 8; k++) if (controls[k] > 0) words.push(NAMES[k]);
  return words.join(", ") || "nothing";
}

/** The controls of the selected car, its action probabilities and its value. */
export class Mind {
  constructor() {
    this.canvas = element("canvas", "controller");
    this.chart = element("canvas", "value");
    this.list = element("ol", "actions");
    this.title = element("h2", "", "Controls");
    this.valueTitle = element("h2", "", "Value");
    this.listTitle = element("h2", "", "Likeliest actions");
    const parts = [this.title, this.canvas, this.valueTitle, this.chart, this.listTitle, this.list];
    this.root = element("section", "mind panel", "", ...parts);
    this.rows = Array.from({ length: 10 }, () => {
      const [fill, words, share] = [element("i"), element("span", "words"), element("span", "share")];
      this.list.append(element("li", "", "", fill, words, share));
      return { fill, words, share };
    });
    this.last = -1;
  }

  update(clip, pose, k) {
    const tick = clip.tick(pose.frame);
    if (this.root.hidden || (tick === this.last && k === this.car)) return;
    [this.last, this.car] = [tick, k];
    const car = pose.cars[k];
    const name = carNames(clip.header)[k];
    const sure = Number.isFinite(car.actionProbability) ? `  ${(car.actionProbability * 100).toFixed(1)}%` : "";
    setText(this.title, `${name}${sure}`);
    drawController(this.canvas, car.controls ?? new Float32Array(8), TEAM_CSS[teamOf(clip.header.cars[k])]);
    const known = Number.isFinite(car.value);
    this.chart.hidden = this.valueTitle.hidden = !known;
    if (known) {
      setText(this.valueTitle, `Value  ${car.value.toFixed(2)}`);
      drawValue(this.chart, clip, pose.frame, k);
    }
    const table = clip.header.action_table;
    const told = table && car.topActions && car.topActions[0] >= 0;
    this.list.hidden = this.listTitle.hidden = !told;
    if (told) this.actions(table, car);
  }

  actions(table, car) {
    this.rows.forEach((row, i) => {
      const action = car.topActions[i];
      const share = car.topProbabilities[i];
      row.words.parentElement.classList.toggle("taken", action === car.action);
      setText(row.words, action < 0 ? "" : describe(table[action]));
      setText(row.share, action < 0 ? "" : `${(share * 100).toFixed(1)}%`);
      setWidth(row.fill, share);
    });
  }
}

function prepare(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  if (canvas.width !== width * ratio) {
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const g = canvas.getContext("2d");
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  g.font = "11px system-ui, sans-serif";
  return g;
}

function stick(g, x, y, dx, dy, color, label) {
  g.strokeStyle = "rgba(255,255,255,0.25)";
  g.fillStyle = "rgba(255,255,255,0.06)";
  g.beginPath();
  g.arc(x, y, 25, 0, Math.PI * 2);
  g.fill();
  g.stroke();
  const length = Math.max(Math.hypot(dx, dy), 1);
  g.fillStyle = color;
  g.beginPath();
  g.arc(x + (dx / length) * 18, y + (dy / length) * 18, 8, 0, Math.PI * 2);
  g.fill();
  g.fillStyle = "rgba(255,255,255,0.65)";
  g.textAlign = "center";
  g.fillText(label, x, y + 39);
}

function drawController(canvas, controls, color) {
  const g = prepare(canvas, 232, 112);
  const [throttle, steer, pitch, , roll, jump, boost, handbrake] = controls;
  stick(g, 34, 32, steer, pitch, color, "steer / pitch");
  stick(g, 104, 32, roll, 0, color, "roll");
  g.textAlign = "center";
  g.fillStyle = "rgba(255,255,255,0.10)";
  g.fillRect(144, 7, 12, 50);
  g.fillStyle = color;
  g.fillRect(144, throttle > 0 ? 32 - 25 * throttle : 32, 12, 25 * Math.abs(throttle));
  g.fillStyle = "rgba(255,255,255,0.65)";
  g.fillText("throttle", 150, 71);
  [
    ["jump", jump],
    ["boost", boost],
    ["brake", handbrake],
  ].forEach(([label, pressed], i) => {
    g.fillStyle = pressed > 0 ? color : "rgba(255,255,255,0.10)";
    g.beginPath();
    g.roundRect(178, 6 + i * 22, 48, 18, 5);
    g.fill();
    g.fillStyle = pressed > 0 ? "#06101c" : "rgba(255,255,255,0.65)";
    g.fillText(label, 202, 19 + i * 22);
  });
  g.textAlign = "left";
  g.fillStyle = "rgba(255,255,255,0.8)";
  g.fillText(describe([...controls].map((x) => Math.round(x))), 4, 98);
}

const VALUE_FRAMES = 180;

function drawValue(canvas, clip, frame, k) {
  const [width, height] = [232, 64];
  const g = prepare(canvas, width, height);
  const first = Math.max(frame - VALUE_FRAMES, 0);
  const values = [];
  for (let i = first; i <= frame; i++) values.push(clip.frame(i).cars[k].value ?? NaN);
  const finite = values.filter(Number.isFinite);
  const low = Math.min(...finite, 0);
  const high = Math.max(...finite, low + 0.5);
  const y = (value) => 4 + (height - 8) * (1 - (value - low) / (high - low));
  g.strokeStyle = "rgba(255,255,255,0.2)";
  g.beginPath();
  g.moveTo(0, y(0));
  g.lineTo(width, y(0));
  g.stroke();
  g.strokeStyle = TEAM_CSS[teamOf(clip.header.cars[k])];
  g.lineWidth = 1.5;
  g.beginPath();
  values.forEach(
    (value, i) =>
      Number.isFinite(value) && g.lineTo(((i + VALUE_FRAMES - (frame - first)) / VALUE_FRAMES) * width, y(value)),
  );
  g.stroke();
}
