// Converts the game's coordinates to those of three.js. RocketSim: x, y on the floor, z up, left-handed, unreal units
// (uu). three.js: y up, right-handed. Here 1 is 100 uu, blue's goal lies at +z and orange's at -z; a camera at +x sees
// blue on its left.
import { Matrix4, Quaternion, Vector3 } from "three";

export const SCALE = 0.01;
export const BLUE = 0;
export const ORANGE = 1;
export const TEAM_COLORS = [0x2f8cff, 0xff8a1f];
export const TEAM_CSS = ["#4aa0ff", "#ff9a3d"];
export const FIELD = { x: 40.96, z: 51.2, ceiling: 20.44, goalX: 8.93, goalY: 6.43, goalDepth: 8.8 };
export const BALL_RADIUS = 0.9125;

export const teamOf = (car) => (car.team === "orange" ? ORANGE : BLUE); // car: of a header

/** Converts a position or direction of the game, [x, y, z] in uu, and writes it into `out`. */
export function toThree(values, out, scale = SCALE) {
  return out.set(-values[0] * scale, values[2] * scale, -values[1] * scale);
}

/** The inverse, for a position that was clicked on: [x, y, z] in uu. */
export function toGame(point) {
  return [-point.x / SCALE, -point.z / SCALE, point.y / SCALE];
}

const forward = new Vector3();
const up = new Vector3();
const right = new Vector3();
const matrix = new Matrix4();

/** Returns the rotation of a body whose model points along +x, with +y up. */
export function rotation(forwardValues, upValues, out = new Quaternion()) {
  toThree(forwardValues, forward, 1);
  toThree(upValues, up, 1);
  if (forward.lengthSq() < 1e-6 || up.lengthSq() < 1e-6) return out.identity();
  right.crossVectors(forward, up);
  return out.setFromRotationMatrix(matrix.makeBasis(forward, up, right));
}
