// Interpolates between two states. Positions follow the velocities of both; a bounce in between stays sharp.
import { Quaternion, Vector3 } from "three";
import { locate } from "./clip.js";
import { rotation, toThree } from "./space.js";

const GRAVITY = -650; // uu/s^2
const KINK = 150; // uu/s: if the velocity changed by more than this beyond gravity, the ball was hit
const FASTEST = 2 * 6000; // uu/s: if the ball moved faster, it was placed

const a = new Quaternion();
const b = new Quaternion();

function hermite(p0, v0, p1, v1, seconds, u) {
  const u2 = u * u;
  const u3 = u2 * u;
  return [0, 1, 2].map(
    (k) =>
      (2 * u3 - 3 * u2 + 1) * p0[k] +
      (u3 - 2 * u2 + u) * seconds * v0[k] +
      (-2 * u3 + 3 * u2) * p1[k] +
      (u3 - u2) * seconds * v1[k],
  );
}

const flight = (p, v, s) => [p[0] + v[0] * s, p[1] + v[1] * s, p[2] + v[2] * s + (GRAVITY / 2) * s * s];
const distance = (p, q) => Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]);

/** Returns the position of the ball between two states; `u` (0 to 1) is the share of the time. */
export function ballBetween(now, next, seconds, u) {
  const free = [now.vel[0], now.vel[1], now.vel[2] + GRAVITY * seconds];
  if (distance(free, next.vel) < KINK) return hermite(now.pos, now.vel, next.pos, next.vel, seconds, u);
  // One path leaves the first state, one arrives in the second. The ball was hit where they are closest.
  let hit = 0;
  let least = Infinity;
  for (let k = 0; k <= 16; k++) {
    const s = (k / 16) * seconds;
    const gap = distance(flight(now.pos, now.vel, s), flight(next.pos, next.vel, s - seconds));
    if (gap < least) [least, hit] = [gap, s];
  }
  const before = flight(now.pos, now.vel, hit);
  const after = flight(next.pos, next.vel, hit - seconds);
  const s = u * seconds;
  const early = s < hit;
  const path = early ? flight(now.pos, now.vel, s) : flight(next.pos, next.vel, s - seconds);
  const share = early ? s / Math.max(hit, 1e-6) : (seconds - s) / Math.max(seconds - hit, 1e-6);
  const sign = early ? 0.5 : -0.5;
  return path.map((x, k) => x + sign * share * (after[k] - before[k]));
}

const far = (p, q, seconds) => distance(p, q) > FASTEST * seconds;

function frames(clip, tick) {
  const i = locate(clip, tick);
  const now = clip.frame(i);
  const next = i + 1 < clip.length ? clip.frame(i + 1) : now;
  const ticks = next.tick - now.tick;
  const u = ticks > 0 ? Math.min(Math.max((tick - now.tick) / ticks, 0), 1) : 0;
  return { i, now, next, u, seconds: ticks / clip.header.tick_rate };
}

/** Returns the position of the ball at a tick, in uu. */
export function ballAt(clip, tick) {
  const { now, next, u, seconds } = frames(clip, tick);
  if (seconds === 0 || far(now.ball.pos, next.ball.pos, seconds)) return now.ball.pos;
  return ballBetween(now.ball, next.ball, seconds, u);
}

/** Returns everything at a tick: the frame before it, and interpolated positions and rotations. */
export function poseAt(clip, tick) {
  const { i, now, next, u, seconds } = frames(clip, tick);
  const ballPos =
    seconds === 0 || far(now.ball.pos, next.ball.pos, seconds)
      ? now.ball.pos
      : ballBetween(now.ball, next.ball, seconds, u);
  const cars = now.cars.map((car, k) => {
    const other = next.cars[k];
    const held = seconds === 0 || car.demoed !== other.demoed || far(car.pos, other.pos, seconds);
    const pos = held ? car.pos : hermite(car.pos, car.vel, other.pos, other.vel, seconds, u);
    const turn = rotation(car.forward, car.up, a).clone();
    if (!held) turn.slerp(rotation(other.forward, other.up, b), u);
    return {
      ...car,
      place: toThree(pos, new Vector3()),
      turn,
      boost: car.boost + (held ? 0 : u * (other.boost - car.boost)),
    };
  });
  return {
    frame: i,
    tick,
    score: now.score,
    pads: now.pads,
    cars,
    ball: { ...now.ball, place: toThree(ballPos, new Vector3()) },
  };
}
