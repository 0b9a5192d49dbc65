// The frames that are played, in the order of time: all of a recording, or the newest two minutes of a live match. Both
// have header, length, tick(i), frame(i) and events; a frame holds the fields of the recording format.
import { parseArray, unzip } from "./archive.js";

export class Recording {
  static async read(buffer) {
    const files = await unzip(buffer);
    const header = JSON.parse(new TextDecoder().decode(files["header.json"]));
    const arrays = {};
    for (const [name, bytes] of Object.entries(files)) {
      if (name.endsWith(".npy")) arrays[name.slice(0, -4)] = parseArray(bytes);
    }
    return new Recording(header, arrays);
  }

  constructor(header, arrays) {
    this.header = header;
    this.arrays = arrays;
    this.events = header.events;
    this.live = false;
    this.length = arrays.ticks.data.length;
  }

  tick(i) {
    return this.arrays.ticks.data[i];
  }

  frame(i) {
    const { header, arrays } = this;
    const of = (name, car) => {
      const { data, shape, row } = arrays[name];
      if (car === undefined) return row === 1 ? data[i] : data.subarray(i * row, (i + 1) * row);
      const width = row / shape[1];
      const at = i * row + car * width;
      return shape.length === 2 ? data[at] : data.subarray(at, at + width);
    };
    return {
      tick: this.tick(i),
      ball: { pos: of("ball_pos"), vel: of("ball_vel"), angVel: of("ball_ang_vel") },
      score: [of("blue_score"), of("orange_score")],
      pads: of("pad_timer"),
      cars: header.cars.map((car, k) => ({
        pos: of("car_pos", k),
        vel: of("car_vel", k),
        forward: of("car_forward", k),
        up: of("car_up", k),
        boost: of("car_boost", k),
        onGround: of("car_on_ground", k) > 0,
        demoed: of("car_is_demoed", k) > 0,
        supersonic: of("car_is_supersonic", k) > 0,
        controls: of("controls", k),
        value: of("value", k),
        action: of("action", k),
        actionProbability: of("action_probability", k),
        topActions: of("top_actions", k),
        topProbabilities: of("top_probabilities", k),
      })),
    };
  }
}

const KEPT = 1800; // frames of a live match: two minutes at 15 a second

export class LiveBuffer {
  constructor(header) {
    this.live = true;
    this.clear(header);
  }

  clear(header) {
    this.header = header;
    this.events = [];
    this.frames = [];
  }

  get length() {
    return this.frames.length;
  }

  tick(i) {
    return this.frames[i].tick;
  }

  frame(i) {
    return this.frames[i];
  }

  push(frame) {
    if (this.length && frame.tick < this.tick(this.length - 1)) this.clear(this.header);
    this.frames.push(frame);
    this.events.push(...frame.events);
    if (this.length > KEPT) {
      this.frames.splice(0, this.length - KEPT);
      const first = this.tick(0);
      this.events = this.events.filter((event) => event.tick >= first);
    }
  }
}

/** Returns the index of the last frame at or before a tick. */
export function locate(clip, tick) {
  let low = 0;
  let high = clip.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (clip.tick(middle) <= tick) low = middle;
    else high = middle - 1;
  }
  return low;
}
