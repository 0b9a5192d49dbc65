// Four cameras: from the stands, from behind a car, free, and from above.
import { PerspectiveCamera, Vector3 } from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import { FIELD } from "./space.js";

export const CAMERAS = ["broadcast", "follow", "orbit", "top"];
const DISTANCE = 3.6;
const HEIGHT = 1.6;
const ASIDE = 4; // that the field is moved to the left in the view from above, where the panel is on the right

const wanted = new Vector3();
const look = new Vector3();
const middle = new Vector3();
const ahead = new Vector3();

export class Cameras {
  constructor(element) {
    this.camera = new PerspectiveCamera(45, 1, 0.1, 700);
    this.camera.position.set(64, 34, 0);
    this.target = new Vector3();
    this.orbit = new OrbitControls(this.camera, element);
    Object.assign(this.orbit, {
      enableDamping: true,
      maxPolarAngle: 1.55,
      minDistance: 3,
      maxDistance: 190,
      enabled: false,
    });
    this.mode = "broadcast";
    this.ballCam = true;
    this.car = 0;
    this.fresh = true;
  }

  choose(mode) {
    this.mode = mode;
    this.fresh = true;
    this.orbit.enabled = mode === "orbit";
    if (mode === "orbit") {
      this.camera.position.set(42, 36, 58);
      this.orbit.target.set(0, 0, 8);
    }
  }

  resize(width, height) {
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
  }

  /** `elapsed`: seconds since the last picture; after a cut the camera jumps instead of gliding. */
  update(pose, elapsed, cut) {
    const jump = this.fresh || cut;
    const glide = (rate) => (jump ? 1 : 1 - Math.exp(-elapsed * rate));
    this.fresh = false;
    this[this.mode === "orbit" ? "free" : this.mode](pose, glide);
  }

  lens(angle) {
    if (Math.abs(this.camera.fov - angle) < 0.01) return;
    this.camera.fov = angle;
    this.camera.updateProjectionMatrix();
  }

  look(glide, rate, up = [0, 1, 0]) {
    this.target.lerp(look, glide(rate));
    this.camera.up.set(...up);
    this.camera.lookAt(this.target);
  }

  broadcast(pose, glide) {
    const ball = pose.ball.place;
    middle.set(0, 0, 0);
    for (const car of pose.cars) middle.addScaledVector(car.place, 1 / pose.cars.length);
    look.copy(ball).lerp(middle, 0.3);
    look.set(look.x * 0.8, look.y * 0.6 + 0.4, look.z * 0.92);
    wanted.set(62 - 4 * Math.abs(look.z / FIELD.z), 25, look.z * 0.62);
    this.camera.position.lerp(wanted, glide(2.2));
    // As close as possible with all cars near the ball in view.
    const spread = pose.cars.map((car) => car.place.distanceTo(ball)).sort((a, b) => a - b);
    const wide = Math.min(
      Math.max(19 + 0.55 * (spread[Math.min(1, spread.length - 1)] + spread.at(-1) * 0.25), 23),
      40,
    );
    this.lens(this.camera.fov + (wide - this.camera.fov) * glide(1.2));
    this.look(glide, 3.5);
  }

  follow(pose, glide) {
    const car = pose.cars[Math.min(this.car, pose.cars.length - 1)];
    const ball = pose.ball.place;
    ahead.set(1, 0, 0).applyQuaternion(car.turn);
    if (this.ballCam) ahead.subVectors(ball, car.place);
    else if (ahead.y ** 2 > 0.7) ahead.set(car.vel[0], 0, -car.vel[1]);
    const climb = this.ballCam ? Math.min(Math.max(ahead.y / (ahead.length() + 0.01), -0.2), 0.55) : 0;
    ahead.y = 0;
    if (ahead.lengthSq() < 1e-4) ahead.set(0, 0, 1);
    ahead.normalize();
    wanted.copy(car.place).addScaledVector(ahead, -DISTANCE * (1 - 0.35 * Math.max(climb, 0)));
    wanted.y += HEIGHT - climb * 1.3;
    wanted.y = Math.max(wanted.y, 0.35);
    wanted.x = Math.min(Math.max(wanted.x, -FIELD.x + 0.5), FIELD.x - 0.5);
    this.camera.position.lerp(wanted, glide(14));
    look.copy(car.place).addScaledVector(ahead, 5);
    look.y += 0.35 + climb * 4.5;
    if (this.ballCam) look.lerp(ball, 0.3);
    this.lens(64);
    this.look(glide, 16);
  }

  free() {
    this.lens(45);
    this.camera.up.set(0, 1, 0);
    this.orbit.update();
  }

  top(pose, glide) {
    // In a wide window the field is shown lengthwise, with blue on the left.
    const wide = this.camera.aspect > 1;
    const across = wide
      ? Math.max(FIELD.x * 2 + 22, ((FIELD.z + 10) * 2) / this.camera.aspect)
      : Math.max((FIELD.z + 12) * 2, (FIELD.x * 2 + 6) / this.camera.aspect);
    const height = across / 2 / Math.tan((30 * Math.PI) / 360);
    const aside = wide ? -ASIDE : 0;
    wanted.set(0, height, aside);
    this.camera.position.lerp(wanted, glide(5));
    look.set(0, 0, aside);
    this.lens(30);
    this.look(glide, 8, wide ? [-1, 0, 0] : [0, 0, -1]);
  }
}
