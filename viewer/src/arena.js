// The arena: curved walls and goals from the collision meshes, and the planes that the physics has instead of meshes.
import {
  AdditiveBlending,
  BoxGeometry,
  BufferAttribute,
  BufferGeometry,
  CanvasTexture,
  Color,
  DoubleSide,
  Float32BufferAttribute,
  FrontSide,
  Group,
  Mesh,
  MeshBasicMaterial,
  MeshLambertMaterial,
  NoColorSpace,
  PlaneGeometry,
  Points,
  ShaderMaterial,
  Shape,
  ShapeGeometry,
  SRGBColorSpace,
  Vector2,
} from "three";
import { toCreasedNormals } from "three/examples/jsm/utils/BufferGeometryUtils.js";
import { BLUE, FIELD, ORANGE, SCALE, TEAM_COLORS } from "./space.js";

const CORNER = 11.52; // of the diagonal walls, along the x or z axis

const VERTEX = /* glsl */ `
  varying vec3 place;
  varying vec3 facing;
  varying vec3 toEye;
  void main() {
    vec4 world = modelMatrix * vec4(position, 1.0);
    place = world.xyz;
    facing = normalize(mat3(modelMatrix) * normal);
    toEye = cameraPosition - world.xyz;
    gl_Position = projectionMatrix * viewMatrix * world;
  }`;

// Dark panels with a thin grid in the colour of the half's team. They fade out toward the ceiling.
const FRAGMENT = /* glsl */ `
  uniform vec3 blue;
  uniform vec3 orange;
  varying vec3 place;
  varying vec3 facing;
  varying vec3 toEye;
  float grid(vec2 at, float size) {
    vec2 cell = at / size;
    vec2 width = fwidth(cell) * 1.2;
    vec2 line = smoothstep(width, vec2(0.0), abs(fract(cell - 0.5) - 0.5));
    return max(line.x, line.y) * clamp(1.2 - 3.0 * max(width.x, width.y), 0.0, 1.0);
  }
  void main() {
    vec3 normal = normalize(facing);
    float half_ = smoothstep(-14.0, 14.0, place.z);
    vec3 team = mix(orange, blue, half_);
    float inGoal = smoothstep(51.25, 51.6, abs(place.z));
    vec2 along = abs(normal.x) > abs(normal.z) ? place.zy : place.xy;
    along = abs(normal.y) > 0.75 ? place.xz : along;
    #ifdef PLAIN
    float lines = grid(along, 5.12) * 0.5;
    float rim = 0.0;
    #else
    float lines = grid(along, 5.12) * 0.5 + grid(along, 1.28) * 0.13;
    lines = mix(lines, grid(along, 0.55) * 0.75, inGoal);
    float rim = pow(1.0 - abs(dot(normalize(toEye), normal)), 3.0);
    #endif
    float light = 0.55 + 0.45 * max(dot(normal, normalize(vec3(0.25, 0.9, 0.15))), 0.0) + 0.25 * abs(normal.z);
    vec3 panel = mix(vec3(0.055, 0.075, 0.125), team * 0.16, 0.30 + 0.45 * inGoal) * light;
    float height = clamp(place.y / 20.44, 0.0, 1.0);
    vec3 color = panel + team * (lines * 0.42 + rim * 0.16 + inGoal * 0.05) + team * 0.28 * exp(-place.y * 0.9) * (1.0 - inGoal);
    float alpha = mix(0.93, 0.30, smoothstep(0.05, 0.9, height)) + lines * 0.35 + rim * 0.2;
    gl_FragColor = vec4(color, clamp(max(alpha, inGoal * 0.8), 0.0, 1.0));
    #ifdef PLAIN
    gl_FragColor.rgb = sqrt(color); // nearly sRGB, and much cheaper
    #else
    #include <colorspace_fragment>
    #endif
  }`;

/** `plain`: simpler, for a machine without a GPU. */
function glass(plain) {
  return new ShaderMaterial({
    defines: plain ? { PLAIN: 1 } : {},
    vertexShader: VERTEX,
    fragmentShader: FRAGMENT,
    uniforms: {
      blue: { value: new Color(TEAM_COLORS[BLUE]) },
      orange: { value: new Color(TEAM_COLORS[ORANGE]) },
    },
    transparent: true,
    depthWrite: false,
    side: FrontSide,
  });
}

/** Reads the meshes: uint32 numbers of triangles and vertices, then the indices, then x, y, z in uu. */
export function parseMeshes(buffer) {
  const [triangles, vertices] = new Uint32Array(buffer, 0, 2);
  const index = new Uint32Array(buffer, 8, triangles * 3).slice();
  for (let i = 0; i < index.length; i += 3) [index[i], index[i + 1]] = [index[i + 1], index[i]]; // mirrored axes
  const game = new Float32Array(buffer, 8 + index.byteLength, vertices * 3);
  const places = new Float32Array(game.length);
  for (let i = 0; i < game.length; i += 3) {
    places[i] = -game[i] * SCALE;
    places[i + 1] = game[i + 2] * SCALE;
    places[i + 2] = -game[i + 1] * SCALE;
  }
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(places, 3));
  geometry.setIndex(new BufferAttribute(index, 1));
  return geometry;
}

export function makeArena(buffer, anisotropy, plain) {
  const arena = new Group();
  const curves = toCreasedNormals(parseMeshes(buffer), 0.7);
  const walls = new Mesh(curves, glass(plain));
  walls.renderOrder = 1;
  arena.add(walls, makeFloor(anisotropy, plain), ...makePlanes(plain));
  for (const team of [BLUE, ORANGE]) arena.add(makeGoal(team));
  return arena;
}

function makePlanes(plain) {
  const made = [];
  for (const side of [-1, 1]) {
    const wall = new Mesh(new PlaneGeometry((FIELD.z - CORNER) * 2, FIELD.ceiling - 5.1), glass(plain));
    wall.position.set(side * FIELD.x, FIELD.ceiling / 2, 0);
    wall.rotation.y = (-side * Math.PI) / 2;
    wall.renderOrder = 1;
    made.push(wall);
  }
  return made;
}

/** Without corners, but with the floors of the goals; u and v run over the whole drawing. */
function floorShape() {
  const { x, z, goalX, goalDepth } = FIELD;
  const quarter = [
    [goalX, z + goalDepth],
    [goalX, z],
    [x - CORNER, z],
    [x, z - CORNER],
  ];
  const half = [...quarter, ...quarter.map(([a, b]) => [a, -b]).reverse()];
  const outline = [...half, ...half.map(([a, b]) => [-a, b]).reverse()];
  const geometry = new ShapeGeometry(new Shape(outline.map(([a, b]) => new Vector2(a, b))));
  const uv = geometry.getAttribute("uv");
  for (let k = 0; k < uv.count; k++) uv.setXY(k, 0.5 + uv.getX(k) / (2 * x), 0.5 + uv.getY(k) / (2 * (z + goalDepth)));
  return geometry.rotateX(-Math.PI / 2);
}

/** The floor as it is drawn, about as bright as the lights of the scene make it. */
function bareFloor(map) {
  return new ShaderMaterial({
    uniforms: { map: { value: map } },
    vertexShader: `
      varying vec2 place;
      void main() {
        place = uv;
        gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
      }`,
    fragmentShader: `
      uniform sampler2D map;
      varying vec2 place;
      void main() {
        gl_FragColor = vec4(texture2D(map, place).rgb * 1.15, 1.0);
      }`,
  });
}

function makeFloor(anisotropy, plain) {
  const map = new CanvasTexture(drawFloor());
  map.colorSpace = plain ? NoColorSpace : SRGBColorSpace;
  map.anisotropy = anisotropy;
  const material = plain ? bareFloor(map) : new MeshLambertMaterial({ map });
  const floor = new Mesh(floorShape(), material);
  floor.receiveShadow = true;
  if (plain) return floor;
  const below = new Mesh(new PlaneGeometry(900, 900), new MeshBasicMaterial({ color: 0x05070c }));
  below.rotation.x = -Math.PI / 2;
  below.position.y = -0.6;
  const group = new Group();
  group.add(floor, below);
  return group;
}

/** The floor seen from above: the left edge is x = +4096 uu, the upper edge orange's net. 20 pixels to 1 (100 uu). */
function drawFloor() {
  const scale = 20;
  const canvas = document.createElement("canvas");
  canvas.width = FIELD.x * 2 * scale;
  canvas.height = (FIELD.z + FIELD.goalDepth) * 2 * scale;
  const g = canvas.getContext("2d");
  g.scale(scale, scale);
  g.translate(FIELD.x, FIELD.z + FIELD.goalDepth);
  const stripe = (FIELD.z * 2) / 20;
  for (let k = 0; k < 20; k++) {
    const z = -FIELD.z + k * stripe;
    g.fillStyle = k % 2 ? "#27403a" : "#2d4a42";
    g.fillRect(-FIELD.x, z, FIELD.x * 2, stripe + 0.05);
  }
  const tint = g.createLinearGradient(0, -FIELD.z, 0, FIELD.z);
  tint.addColorStop(0, "rgba(214,98,26,0.46)");
  tint.addColorStop(0.47, "rgba(214,98,26,0.06)");
  tint.addColorStop(0.53, "rgba(34,96,214,0.06)");
  tint.addColorStop(1, "rgba(34,96,214,0.50)");
  g.fillStyle = tint;
  g.fillRect(-FIELD.x, -FIELD.z, FIELD.x * 2, FIELD.z * 2);
  speckle(g);
  for (const side of [-1, 1]) {
    g.fillStyle = side < 0 ? "#5a3312" : "#173c70";
    g.fillRect(-FIELD.goalX, side < 0 ? -FIELD.z - FIELD.goalDepth : FIELD.z, FIELD.goalX * 2, FIELD.goalDepth);
  }
  const line = (style, width, path) => {
    g.strokeStyle = style;
    g.lineWidth = width;
    g.beginPath();
    path();
    g.stroke();
  };
  const white = "rgba(235,245,255,0.75)";
  line(white, 0.28, () => (g.moveTo(-FIELD.x, 0), g.lineTo(FIELD.x, 0)));
  line(white, 0.28, () => g.arc(0, 0, 9.15, 0, Math.PI * 2));
  line("rgba(235,245,255,0.35)", 0.14, () => g.arc(0, 0, 10.0, 0, Math.PI * 2));
  g.fillStyle = white;
  g.beginPath();
  g.arc(0, 0, 0.75, 0, Math.PI * 2);
  g.fill();
  for (const side of [-1, 1]) {
    const color = side < 0 ? "rgba(255,170,90,0.9)" : "rgba(110,180,255,0.9)";
    line(color, 0.28, () => g.rect(-18, side < 0 ? -FIELD.z : FIELD.z - 14, 36, 14));
    line(color, 0.2, () => g.rect(-FIELD.goalX - 2, side < 0 ? -FIELD.z : FIELD.z - 6, FIELD.goalX * 2 + 4, 6));
    line(color, 0.22, () =>
      g.arc(0, side * (FIELD.z - 14), 6, side < 0 ? 0 : Math.PI, side < 0 ? Math.PI : 2 * Math.PI),
    );
    line(color, 0.5, () => (g.moveTo(-FIELD.goalX, side * FIELD.z), g.lineTo(FIELD.goalX, side * FIELD.z)));
  }
  return canvas;
}

function speckle(g) {
  let seed = 7;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let k = 0; k < 9000; k++) {
    g.fillStyle = random() < 0.5 ? "rgba(0,0,0,0.10)" : "rgba(190,255,220,0.05)";
    g.fillRect((random() * 2 - 1) * FIELD.x, (random() * 2 - 1) * FIELD.z, 0.1 + random() * 0.2, 0.3 + random() * 0.6);
  }
}

function makeGoal(team) {
  const side = team === BLUE ? 1 : -1;
  const goal = new Group();
  const glow = new MeshBasicMaterial({ color: new Color(TEAM_COLORS[team]).lerp(new Color(0xffffff), 0.35) });
  const bar = (width, height, depth, x, y) => {
    const mesh = new Mesh(new BoxGeometry(width, height, depth), glow);
    mesh.position.set(x, y, side * FIELD.z);
    goal.add(mesh);
  };
  bar(0.32, FIELD.goalY, 0.32, -FIELD.goalX, FIELD.goalY / 2);
  bar(0.32, FIELD.goalY, 0.32, FIELD.goalX, FIELD.goalY / 2);
  bar(FIELD.goalX * 2 + 0.32, 0.32, 0.32, 0, FIELD.goalY);
  const mouth = new Mesh(
    new PlaneGeometry(FIELD.goalX * 2, FIELD.goalY),
    new MeshBasicMaterial({
      color: TEAM_COLORS[team],
      transparent: true,
      opacity: 0.1,
      blending: AdditiveBlending,
      depthWrite: false,
      side: DoubleSide,
    }),
  );
  mouth.position.set(0, FIELD.goalY / 2, side * FIELD.z);
  mouth.renderOrder = 2;
  goal.add(mouth);
  return goal;
}

const ROUND = 0.42; // roundness of the rectangle that the stands follow

function aroundField(angle, radius, y) {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return [Math.sign(c) * Math.abs(c) ** ROUND * 56 * radius, y, Math.sign(s) * Math.abs(s) ** ROUND * 72 * radius];
}

/** Dark stands with lights around the arena, as a background behind the glass. */
export function makeStands() {
  const stands = new Group();
  stands.add(makeTiers(), makeCrowd());
  return stands;
}

const TIERS = [
  [1.0, 0],
  [1.0, 3],
  [1.28, 13],
  [1.28, 15],
  [1.62, 31],
  [1.62, 34],
  [1.9, 52],
]; // radius and height of their edges
const AROUND = 96;

function makeTiers() {
  const places = [];
  const index = [];
  for (const [radius, y] of TIERS) {
    for (let k = 0; k <= AROUND; k++) places.push(...aroundField((k / AROUND) * Math.PI * 2, radius, y));
  }
  const row = AROUND + 1;
  for (let tier = 0; tier + 1 < TIERS.length; tier++) {
    for (let k = 0; k < AROUND; k++) {
      const at = tier * row + k;
      index.push(at, at + 1, at + row, at + 1, at + row + 1, at + row);
    }
  }
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new Float32BufferAttribute(places, 3));
  geometry.setIndex(index);
  const flat = geometry.toNonIndexed();
  flat.computeVertexNormals();
  return new Mesh(flat, new MeshLambertMaterial({ color: 0x1a2233, side: FrontSide, flatShading: true }));
}

function makeCrowd() {
  const places = [];
  const colors = [];
  let seed = 11;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let k = 0; k < 4600; k++) {
    const angle = random() * Math.PI * 2;
    const tier = [1, 3, 5][Math.floor(random() * 3)];
    const share = Math.floor(random() * 7) / 7 + 0.07;
    const [[r0, y0], [r1, y1]] = [TIERS[tier], TIERS[tier + 1]];
    places.push(...aroundField(angle, r0 + share * (r1 - r0) - 0.012, y0 + share * (y1 - y0) + 0.7));
    const color = random() < 0.55 ? new Color(TEAM_COLORS[Math.sin(angle) > 0 ? BLUE : ORANGE]) : new Color(0xb9c7e8);
    color.multiplyScalar(0.1 + random() ** 3 * 0.8);
    colors.push(color.r, color.g, color.b);
  }
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new Float32BufferAttribute(places, 3));
  geometry.setAttribute("color", new Float32BufferAttribute(colors, 3));
  const material = new ShaderMaterial({
    vertexShader: `
      attribute vec3 color;
      varying vec3 tone;
      void main() {
        tone = color;
        vec4 view = modelViewMatrix * vec4(position, 1.0);
        gl_PointSize = clamp(170.0 / -view.z, 1.2, 5.0);
        gl_Position = projectionMatrix * view;
      }`,
    fragmentShader: `
      varying vec3 tone;
      void main() {
        gl_FragColor = vec4(tone, 1.0);
        #include <colorspace_fragment>
      }`,
  });
  return new Points(geometry, material);
}
