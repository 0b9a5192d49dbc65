// The ball with its trail, a ring on the floor below it, and a line from the ball to the ring.
import {
  CanvasTexture,
  CylinderGeometry,
  DoubleSide,
  Group,
  Mesh,
  MeshBasicMaterial,
  MeshStandardMaterial,
  Quaternion,
  RingGeometry,
  SphereGeometry,
  SRGBColorSpace,
  Vector3,
} from "three";
import { ballAt } from "./interpolate.js";
import { Ribbon } from "./ribbon.js";
import { BALL_RADIUS, TEAM_COLORS, toThree } from "./space.js";

const TRAIL = 26;
const TRAIL_SECONDS = 0.9;
const spin = new Vector3();
const turn = new Quaternion();

export class Ball {
  constructor() {
    this.group = new Group();
    const texture = new CanvasTexture(drawBall());
    texture.colorSpace = SRGBColorSpace;
    const material = new MeshStandardMaterial({ map: texture, roughness: 0.42, metalness: 0.15, emissive: 0x182030 });
    this.mesh = new Mesh(new SphereGeometry(BALL_RADIUS, 40, 28), material);
    this.mesh.castShadow = true;
    const flat = { color: 0xffffff, transparent: true, depthWrite: false, side: DoubleSide };
    this.ring = new Mesh(new RingGeometry(0.9, 1.06, 48), new MeshBasicMaterial({ ...flat, opacity: 0.8 }));
    this.ring.rotation.x = -Math.PI / 2;
    this.ring.position.y = 0.05;
    this.line = new Mesh(new CylinderGeometry(0.025, 0.025, 1, 6), new MeshBasicMaterial({ ...flat, opacity: 0.35 }));
    this.ribbon = new Ribbon(TRAIL, BALL_RADIUS * 0.75, 0xcfe4ff);
    for (const each of [this.ring, this.line]) each.renderOrder = 2;
    this.group.add(this.mesh, this.ring, this.line, this.ribbon.mesh);
    this.trail = [];
  }

  /** `elapsed`: seconds of play since the last picture, negative when played backward; `from`: the first tick of the
   * episode, before which there is no trail; `team` touched it last. */
  update(clip, pose, elapsed, from, team, camera) {
    const { place, vel, angVel } = pose.ball;
    this.mesh.position.copy(place);
    toThree(angVel, spin, -1); // in mirrored axes rotations have the other sign
    const angle = spin.length() * elapsed;
    if (angle && Math.abs(elapsed) < 0.5)
      this.mesh.quaternion.premultiply(turn.setFromAxisAngle(spin.normalize(), angle));
    const height = Math.max(place.y - BALL_RADIUS, 0);
    this.ring.position.set(place.x, 0.05, place.z);
    this.ring.scale.setScalar(1 + height * 0.09);
    this.ring.material.opacity = 0.85 - Math.min(height * 0.02, 0.4);
    this.line.visible = height > 0.6;
    this.line.position.set(place.x, height / 2, place.z);
    this.line.scale.y = Math.max(height, 0.01);
    const step = (TRAIL_SECONDS / (TRAIL - 1)) * clip.header.tick_rate;
    this.trail.length = 0;
    for (let k = 0; k < TRAIL; k++) {
      const tick = pose.tick - k * step;
      if (tick < from) break;
      this.trail.push(toThree(ballAt(clip, tick), new Vector3()));
    }
    const speed = Math.hypot(...vel);
    this.ribbon.material.uniforms.color.value.setHex(team === null ? 0xcfe4ff : TEAM_COLORS[team]);
    this.ribbon.update(this.trail, Math.min(Math.max((speed - 300) / 2500, 0), 0.55), camera);
  }
}

function drawBall() {
  const canvas = document.createElement("canvas");
  canvas.width = 1024;
  canvas.height = 512;
  const g = canvas.getContext("2d");
  g.fillStyle = "#c9d3de";
  g.fillRect(0, 0, 1024, 512);
  g.lineWidth = 7;
  for (let row = 0; row < 6; row++) {
    const count = [4, 8, 10, 10, 8, 4][row];
    const y = (row + 0.5) * (512 / 6);
    for (let k = 0; k < count; k++) {
      const x = ((k + (row % 2) / 2) * 1024) / count;
      const wide = 1024 / count;
      g.fillStyle = (k + row) % 2 ? "#5b6876" : "#8d9aa8";
      g.strokeStyle = "#2b333d";
      for (const shift of [-1024, 0, 1024]) {
        g.beginPath();
        for (let corner = 0; corner < 6; corner++) {
          const angle = (corner * Math.PI) / 3;
          g.lineTo(x + shift + Math.cos(angle) * wide * 0.46, y + Math.sin(angle) * 38);
        }
        g.closePath();
        g.fill();
        g.stroke();
      }
    }
  }
  return canvas;
}
