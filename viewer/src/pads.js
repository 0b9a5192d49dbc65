// Boost pads: a glowing disc, or for big pads a sphere over a ring; dark while the pad is taken. All pads of a kind are
// drawn at once.
import {
  AdditiveBlending,
  CircleGeometry,
  CylinderGeometry,
  Group,
  InstancedMesh,
  Matrix4,
  MeshBasicMaterial,
  MeshLambertMaterial,
  RingGeometry,
  SphereGeometry,
  Vector3,
} from "three";
import { toThree } from "./space.js";

const GOLD = 0xffc93d;
const FAINT = 0.3;
const HIDDEN = new Matrix4().makeScale(0, 0, 0);
const matrix = new Matrix4();

export class Pads {
  /** `plain`: for a machine without a GPU, where their faint light around them is not drawn. */
  constructor(layout, plain) {
    this.group = new Group();
    this.kinds = [false, true].map((big) => {
      const pads = layout.map((pad, i) => ({ i, ...pad })).filter((pad) => pad.big === big);
      const places = pads.map(({ pos }) => toThree([pos[0], pos[1], 0], new Vector3()));
      const { foot, lights } = big ? bigParts() : smallParts();
      const make = (part) => {
        const mesh = new InstancedMesh(part.geometry, part.material, pads.length);
        mesh.renderOrder = part.material.transparent ? 2 : 0;
        mesh.frustumCulled = false; // they are all over the field
        this.group.add(mesh);
        return { mesh, floats: part.floats };
      };
      const feet = make(foot).mesh;
      feet.receiveShadow = true;
      places.forEach((place, k) => feet.setMatrixAt(k, matrix.makeTranslation(place)));
      const shown = lights.filter((part) => !plain || part.material.opacity > FAINT);
      return { big, pads, places, lights: shown.map(make), there: pads.map(() => null) };
    });
  }

  /** `timers`: seconds until each pad is back, 0 if it is active. */
  update(timers, seconds) {
    for (const { big, pads, places, lights, there } of this.kinds) {
      pads.forEach((pad, k) => {
        const shown = timers[pad.i] <= 0;
        if (shown === there[k] && !(big && shown)) return; // only the spheres move
        there[k] = shown;
        for (const { mesh, floats } of lights) {
          const height = floats ? 0.12 * Math.sin(seconds * 2 + pad.i) : 0;
          const { x, y, z } = places[k];
          mesh.setMatrixAt(k, shown ? matrix.makeTranslation(x, y + height, z) : HIDDEN);
          mesh.instanceMatrix.needsUpdate = true;
        }
      });
    }
  }
}

const lit = () => new MeshLambertMaterial({ color: 0x2b3340 });

function glow(opacity) {
  return new MeshBasicMaterial({
    color: GOLD,
    transparent: true,
    opacity,
    blending: AdditiveBlending,
    depthWrite: false,
  });
}

const foot = (top, bottom) => ({
  geometry: new CylinderGeometry(top, bottom, 0.12, 20).translate(0, 0.06, 0),
  material: lit(),
});
const flat = (geometry, opacity, y) => ({
  geometry: geometry.rotateX(-Math.PI / 2).translate(0, y, 0),
  material: glow(opacity),
});

function smallParts() {
  const cap = {
    geometry: new CylinderGeometry(0.46, 0.52, 0.1, 16).translate(0, 0.16, 0),
    material: new MeshBasicMaterial({ color: GOLD }),
  };
  const lights = [
    cap,
    flat(new RingGeometry(0.5, 0.85, 24), 0.55, 0.14),
    flat(new CircleGeometry(1.7, 24), 0.12, 0.13),
  ];
  return { foot: foot(0.85, 1.05), lights };
}

function bigParts() {
  const ball = {
    geometry: new SphereGeometry(0.72, 24, 16).translate(0, 1.35, 0),
    material: new MeshBasicMaterial({ color: 0xffdf70 }),
    floats: true,
  };
  const halo = {
    geometry: new SphereGeometry(1.15, 20, 14).translate(0, 1.35, 0),
    material: glow(0.22),
    floats: true,
  };
  const rings = [flat(new RingGeometry(0.9, 1.4, 28), 0.6, 0.14), flat(new CircleGeometry(3.2, 28), 0.13, 0.13)];
  return { foot: foot(1.5, 1.75), lights: [ball, halo, ...rings] };
}
