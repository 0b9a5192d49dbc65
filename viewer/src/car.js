// A car in the shape of its hitbox (Octane): chassis, nose, cabin, wheels that turn and steer, and a boost flame.
import {
  AdditiveBlending,
  BoxGeometry,
  CircleGeometry,
  Color,
  ConeGeometry,
  CylinderGeometry,
  ExtrudeGeometry,
  Group,
  Mesh,
  MeshBasicMaterial,
  MeshStandardMaterial,
  RingGeometry,
  Shape,
  Vector3,
} from "three";
import { mergeGeometries } from "three/examples/jsm/utils/BufferGeometryUtils.js";
import { Ribbon } from "./ribbon.js";
import { SCALE, TEAM_COLORS } from "./space.js";

const WHEELS = [
  { x: 51.25, y: 28.5, z: -4.5, radius: 12.5, width: 10, steers: true },
  { x: -33.75, y: 30.5, z: -2.2, radius: 15, width: 12, steers: false },
];
const TRAIL = 20;
const BLOB = new CircleGeometry(0.62, 20).rotateX(-Math.PI / 2);
const RING = new RingGeometry(1.15, 1.4, 28).rotateX(-Math.PI / 2);
const [NEAR, FAR] = [14, 30]; // from where on a car needs its ring to be seen, and has all of it
const NOZZLE = new Vector3(-0.5, 0.14, 0);

/** Returns a solid with the side view [x, z] in uu and this `width`, with bevelled edges. */
function solid(points, width, bevel) {
  const shape = new Shape();
  points.forEach(([x, z], i) => (i ? shape.lineTo(x * SCALE, z * SCALE) : shape.moveTo(x * SCALE, z * SCALE)));
  shape.closePath();
  const depth = Math.max(width - 2 * bevel, 1) * SCALE;
  const geometry = new ExtrudeGeometry(shape, {
    depth,
    bevelEnabled: true,
    bevelSize: bevel * SCALE,
    bevelThickness: bevel * SCALE,
    bevelSegments: 2,
  });
  geometry.translate(0, 0, -depth / 2);
  return geometry;
}

function box(x, y, z, cx, cy, cz) {
  const geometry = new BoxGeometry(x * SCALE, y * SCALE, z * SCALE);
  geometry.translate(cx * SCALE, cy * SCALE, cz * SCALE);
  return geometry;
}

const SHAPES = {
  chassis: solid(
    [
      [-42, 0],
      [-45, 8],
      [-43, 17],
      [-20, 21],
      [30, 20],
      [62, 12],
      [71, 5],
      [71, -3],
      [60, -7],
      [-36, -6],
    ],
    58,
    3,
  ),
  nose: solid(
    [
      [28, 19],
      [66, 10],
      [73, 4],
      [73, 0],
      [40, 0],
    ],
    40,
    4,
  ),
  cabin: solid(
    [
      [-32, 18],
      [-24, 31],
      [-8, 35],
      [12, 32],
      [36, 18],
    ],
    44,
    4,
  ),
  roof: solid(
    [
      [-23, 31.5],
      [-8, 36],
      [11, 33],
      [8, 31],
      [-20, 29],
    ],
    36,
    2,
  ),
  fenderRear: solid(
    [
      [-54, 2],
      [-52, 12],
      [-44, 20],
      [-24, 21],
      [-14, 13],
      [-12, 3],
      [-17, 12],
      [-33, 17],
      [-48, 11],
    ],
    15,
    2,
  ),
  fenderFront: solid(
    [
      [32, 2],
      [35, 11],
      [44, 16],
      [58, 14],
      [67, 8],
      [69, 1],
      [62, 9],
      [51, 11],
      [38, 8],
    ],
    13,
    2,
  ),
  wing: solid(
    [
      [-50, 33],
      [-36, 35],
      [-34, 36.5],
      [-50, 36],
    ],
    62,
    1,
  ),
};

const LIGHTER = [0, 0.1, -0.1]; // the paint of a team's first, second and third car

export class Car {
  /** `place`: which car of its team it is, from 0. */
  constructor(team, place) {
    const base = new Color(TEAM_COLORS[team]);
    if (place) base.offsetHSL(team ? 0.03 : -0.04, 0, LIGHTER[place]);
    const paint = new MeshStandardMaterial({ color: base, roughness: 0.35, metalness: 0.25 });
    const dark = new MeshStandardMaterial({ color: base.clone().multiplyScalar(0.28), roughness: 0.6, metalness: 0.2 });
    const glass = new MeshStandardMaterial({ color: 0x10161f, roughness: 0.12, metalness: 0.6 });
    const light = (color) => new MeshBasicMaterial({ color });

    this.team = team;
    this.body = new Group();
    const parts = new Map(); // of each material, so that a car is a few meshes
    const add = (geometry, material, x = 0, y = 0, z = 0) => {
      const placed = geometry.clone().translate(x * SCALE, y * SCALE, z * SCALE);
      parts.set(material, [...(parts.get(material) ?? []), placed.index ? placed.toNonIndexed() : placed]);
    };
    const [front, rear] = [light(0xfff6d8), light(0xff3030)];
    add(SHAPES.chassis, dark);
    add(SHAPES.nose, paint);
    add(SHAPES.cabin, glass);
    add(SHAPES.roof, paint);
    add(SHAPES.wing, paint);
    add(box(46, 9, 50, 4, 14, 0), paint);
    for (const side of [-1, 1]) {
      add(SHAPES.fenderRear, paint, 0, 0, side * 30);
      add(SHAPES.fenderFront, paint, 0, 0, side * 28);
      add(box(3, 4, 12, 71, 4, side * 14), front);
      add(box(3, 4, 14, -45, 14, side * 20), rear);
      add(box(3, 14, 3, -42, 27, side * 24), dark);
    }
    add(new CylinderGeometry(0.07, 0.09, 0.14, 14).rotateZ(Math.PI / 2), dark, -48, 9, 0);
    for (const [material, geometries] of parts) {
      const mesh = new Mesh(mergeGeometries(geometries), material);
      mesh.castShadow = true;
      this.body.add(mesh);
    }
    this.wheels = WHEELS.flatMap((wheel) => [-1, 1].map((side) => this.makeWheel(wheel, side)));
    this.flame = makeFlame();
    this.flame.position.copy(NOZZLE).setY(0.09);
    this.body.add(this.flame);
    this.ribbon = new Ribbon(TRAIL, 0.22, team ? 0xffb060 : 0x70b8ff);
    this.group = new Group();
    this.blob = new Mesh(BLOB, new MeshBasicMaterial({ color: 0x000000, transparent: true, depthWrite: false }));
    this.ring = new Mesh(RING, new MeshBasicMaterial({ color: base, transparent: true, depthWrite: false }));
    for (const each of [this.blob, this.ring]) each.renderOrder = 2;
    this.group.add(this.body, this.blob, this.ring, this.ribbon.mesh);
    this.trail = [];
    this.strengths = [];
    this.travelled = 0;
  }

  makeWheel(wheel, side) {
    const tyre = new CylinderGeometry(wheel.radius * SCALE, wheel.radius * SCALE, wheel.width * SCALE, 22).rotateX(
      Math.PI / 2,
    );
    const hub = new CylinderGeometry(
      wheel.radius * 0.58 * SCALE,
      wheel.radius * 0.5 * SCALE,
      (wheel.width + 1.5) * SCALE,
      6,
    );
    const group = new Group();
    const spinning = new Group();
    const rubber = new Mesh(tyre, new MeshStandardMaterial({ color: 0x14171c, roughness: 0.9 }));
    rubber.castShadow = true;
    spinning.add(
      rubber,
      new Mesh(hub.rotateX(Math.PI / 2), new MeshStandardMaterial({ color: 0xb8c2cf, roughness: 0.3, metalness: 0.6 })),
    );
    group.add(spinning);
    group.position.set(wheel.x * SCALE, wheel.z * SCALE, side * wheel.y * SCALE);
    this.body.add(group);
    return { ...wheel, group, spinning };
  }

  /** `state`: of this car in a pose; `elapsed`: seconds of play since the last picture; `blob`: draws a plain shadow. */
  update(state, { elapsed, seconds, camera, cut, blob }) {
    this.body.visible = !state.demoed;
    this.blob.visible = blob && !state.demoed;
    this.blob.position.set(state.place.x, 0.03, state.place.z);
    this.blob.material.opacity = 0.45 / (1 + Math.max(state.place.y - 0.17, 0) * 0.5);
    const share = (camera.position.distanceTo(state.place) - NEAR) / (FAR - NEAR);
    this.ring.visible = share > 0 && !state.demoed;
    this.ring.material.opacity = 0.8 * Math.min(share, 1);
    this.ring.position.set(state.place.x, 0.04, state.place.z);
    this.body.position.copy(state.place);
    this.body.quaternion.copy(state.turn);
    const ahead = state.vel[0] * state.forward[0] + state.vel[1] * state.forward[1] + state.vel[2] * state.forward[2];
    this.travelled += ahead * elapsed;
    for (const wheel of this.wheels) {
      wheel.spinning.rotation.z = -this.travelled / wheel.radius;
      if (wheel.steers) wheel.group.rotation.y = -(state.controls?.[1] ?? 0) * 0.45;
    }
    const boosting = !state.demoed && (state.controls?.[6] ?? 0) > 0 && state.boost > 0.01;
    this.flame.visible = boosting;
    if (boosting) {
      const flicker = 0.85 + 0.15 * Math.sin(seconds * 61) + 0.1 * Math.sin(seconds * 97 + this.team);
      this.flame.scale.set(flicker, 0.9 + 0.1 * Math.sin(seconds * 43), 1);
    }
    if (cut) this.trail.length = this.strengths.length = 0;
    this.trail.unshift(NOZZLE.clone().applyQuaternion(state.turn).add(state.place));
    this.strengths.unshift(state.demoed ? 0 : state.supersonic ? 0.75 : boosting ? 0.4 : 0);
    this.trail.length = Math.min(this.trail.length, TRAIL);
    this.strengths.length = Math.min(this.strengths.length, TRAIL);
    this.ribbon.update(this.trail, (k) => this.strengths[Math.min(k, this.strengths.length - 1)], camera);
  }
}

function makeFlame() {
  const flame = new Group();
  for (const [radius, length, color, opacity] of [
    [0.26, 1.5, 0xff7a1a, 0.55],
    [0.18, 1.1, 0xffc040, 0.75],
    [0.1, 0.65, 0xfff3c8, 1],
  ]) {
    const geometry = new ConeGeometry(radius, length, 14, 1, true).rotateZ(Math.PI / 2).translate(-length / 2, 0, 0);
    const material = new MeshBasicMaterial({
      color,
      transparent: true,
      opacity,
      blending: AdditiveBlending,
      depthWrite: false,
    });
    const cone = new Mesh(geometry, material);
    cone.renderOrder = 3;
    flame.add(cone);
  }
  return flame;
}
