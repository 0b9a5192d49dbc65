// Boost pads: a glowing disc, or a sphere over a ring where the pad gives all; dark while it is taken.
import {
  AdditiveBlending,
  CircleGeometry,
  CylinderGeometry,
  Group,
  Mesh,
  MeshBasicMaterial,
  MeshLambertMaterial,
  RingGeometry,
  SphereGeometry,
  Vector3,
} from "three";
import { toThree } from "./space.js";

const GOLD = 0xffc93d;

export class Pads {
  constructor(layout) {
    this.group = new Group();
    const base = new MeshLambertMaterial({ color: 0x2b3340 });
    this.lights = layout.map(({ pos, big }) => {
      const pad = new Group();
      toThree([pos[0], pos[1], 0], pad.position);
      const foot = new Mesh(new CylinderGeometry(big ? 1.5 : 0.85, big ? 1.75 : 1.05, 0.12, 20), base);
      foot.position.y = 0.06;
      foot.receiveShadow = true;
      const light = big ? makeBig() : makeSmall();
      pad.add(foot, light);
      this.group.add(pad);
      return light;
    });
  }

  /** `timers`: seconds until each pad comes back, 0 where it is there. */
  update(timers, seconds) {
    this.lights.forEach((light, i) => {
      light.visible = timers[i] <= 0;
      if (light.userData.ball) light.userData.ball.position.y = 1.35 + 0.12 * Math.sin(seconds * 2 + i);
    });
  }
}

function flat(geometry, opacity, y) {
  const material = new MeshBasicMaterial({
    color: GOLD,
    transparent: true,
    opacity,
    blending: AdditiveBlending,
    depthWrite: false,
  });
  const mesh = new Mesh(geometry, material);
  mesh.rotation.x = -Math.PI / 2;
  mesh.position.y = y;
  mesh.renderOrder = 2;
  return mesh;
}

function makeSmall() {
  const group = new Group();
  const cap = new Mesh(new CylinderGeometry(0.46, 0.52, 0.1, 16), new MeshBasicMaterial({ color: GOLD }));
  cap.position.y = 0.16;
  group.add(cap, flat(new RingGeometry(0.5, 0.85, 24), 0.55, 0.14), flat(new CircleGeometry(1.7, 24), 0.12, 0.13));
  return group;
}

function makeBig() {
  const group = new Group();
  const ball = new Mesh(new SphereGeometry(0.72, 24, 16), new MeshBasicMaterial({ color: 0xffdf70 }));
  const halo = new Mesh(
    new SphereGeometry(1.15, 20, 14),
    new MeshBasicMaterial({
      color: GOLD,
      transparent: true,
      opacity: 0.22,
      blending: AdditiveBlending,
      depthWrite: false,
    }),
  );
  halo.renderOrder = 2;
  ball.add(halo);
  ball.position.copy(new Vector3(0, 1.35, 0));
  group.userData.ball = ball;
  group.add(ball, flat(new RingGeometry(0.9, 1.4, 28), 0.6, 0.14), flat(new CircleGeometry(3.2, 28), 0.13, 0.13));
  return group;
}
