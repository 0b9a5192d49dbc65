// The position in a clip and the speed of playback. Time is in physics ticks.
import { locate } from "./clip.js";

export const SPEEDS = [0.25, 0.5, 1, 2, 4];
const DELAY = 0.2; // s: delay of a live picture, so that there is always a next state to interpolate to

export class Player {
  constructor(clip) {
    this.clip = clip;
    this.tick = clip.length ? clip.tick(0) : 0;
    this.playing = true;
    this.speed = 1;
    this.following = clip.live;
    this.command = () => {}; // sends a command to a live match
  }

  get first() {
    return this.clip.length ? this.clip.tick(0) : 0;
  }

  get last() {
    return this.clip.length ? this.clip.tick(this.clip.length - 1) : 0;
  }

  advance(seconds) {
    const { clip } = this;
    if (!clip.length) return;
    const rate = clip.header.tick_rate;
    if (this.following) {
      const delay = this.playing ? DELAY * rate * Math.max(this.speed, 0.5) : 0;
      const goal = Math.max(this.last - delay, this.first);
      const behind = goal - this.tick;
      if (Math.abs(behind) > 1.5 * rate * Math.max(this.speed, 1)) this.tick = goal;
      else if (this.playing) this.tick += Math.max(seconds * rate * this.speed + behind * Math.min(seconds * 2, 1), 0);
      else this.tick += behind * Math.min(seconds * 12, 1);
    } else if (this.playing) {
      this.tick += seconds * rate * this.speed;
      if (this.tick >= this.last && clip.live) this.following = true;
      else if (this.tick >= this.last) this.playing = false;
    }
    this.tick = Math.min(Math.max(this.tick, this.first), this.last);
  }

  toggle() {
    if (!this.clip.live && !this.playing && this.tick >= this.last) this.tick = this.first;
    this.playing = !this.playing;
    this.command({ paused: !this.playing });
  }

  seek(tick) {
    this.tick = Math.min(Math.max(tick, this.first), this.last);
    this.following = this.clip.live && this.tick >= this.last - this.clip.header.tick_rate / 2;
  }

  /** Goes to the next or the previous frame. At its end, a live match plays one more step. */
  step(direction) {
    if (this.playing) this.toggle();
    const { clip } = this;
    let i = locate(clip, this.tick);
    if (clip.live && direction > 0 && i >= clip.length - 2) {
      this.following = true;
      return this.command({ step: 1 });
    }
    while (i + direction >= 0 && i + direction < clip.length) {
      i += direction;
      if (clip.tick(i) !== this.tick) break;
    }
    return this.seek(clip.tick(i));
  }

  jump(seconds) {
    this.seek(this.tick + seconds * this.clip.header.tick_rate);
  }

  end() {
    if (this.clip.live) this.following = true;
    else this.seek(this.last);
  }

  changeSpeed(direction, around = false) {
    const at = SPEEDS.indexOf(this.speed) + direction;
    this.speed = SPEEDS[around ? at % SPEEDS.length : Math.min(Math.max(at, 0), SPEEDS.length - 1)];
    this.command({ speed: this.speed });
  }
}
