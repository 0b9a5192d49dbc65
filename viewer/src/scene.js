// The 3D scene, and how much of it is drawn on a slow machine.
import {
  ACESFilmicToneMapping,
  AmbientLight,
  CanvasTexture,
  DirectionalLight,
  Fog,
  HemisphereLight,
  PCFShadowMap,
  Raycaster,
  Scene,
  SRGBColorSpace,
  Vector2,
  Vector3,
  WebGLRenderer,
} from "three";
import { makeArena, makeStands } from "./arena.js";
import { Ball } from "./ball.js";
import { Cameras } from "./cameras.js";
import { Car } from "./car.js";
import { Pads } from "./pads.js";
import { FIELD, teamOf, toGame } from "./space.js";

const SLOW = 1 / 22; // s per picture: if pictures take longer, less is drawn

export class Stage {
  constructor(canvas, meshes, padLayout) {
    const software = drawsInSoftware();
    this.renderer = new WebGLRenderer({ canvas, antialias: !software, powerPreference: "high-performance" });
    this.renderer.toneMapping = ACESFilmicToneMapping;
    this.renderer.toneMappingExposure = 1.15;
    this.renderer.shadowMap.enabled = !software;
    this.renderer.shadowMap.type = PCFShadowMap;
    this.scene = new Scene();
    this.renderer.setClearColor(0x0a1224);
    this.cameras = new Cameras(canvas);
    this.light();
    if (!software) this.surroundings();
    const anisotropy = software ? 1 : Math.min(this.renderer.capabilities.getMaxAnisotropy(), 8);
    this.scene.add(makeArena(meshes, anisotropy, software));
    this.pads = new Pads(padLayout, software);
    this.ball = new Ball();
    this.scene.add(this.pads.group, this.ball.group);
    this.cars = [];
    document.getElementById("app").classList.toggle("plain", software);
    this.quality = software ? 0.6 : Math.min(window.devicePixelRatio || 1, 2);
    this.slow = 0; // s for which pictures took too long
    this.frames = 0;
    this.resize();
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
  }

  surroundings() {
    this.scene.background = makeSky();
    this.scene.fog = new Fog(0x070b14, 130, 320);
    this.scene.add(makeStands());
  }

  light() {
    this.scene.add(new HemisphereLight(0xcfe0ff, 0x2a4638, 1.6), new AmbientLight(0xffffff, 0.35));
    const sun = new DirectionalLight(0xfff4e0, 2.4);
    sun.position.set(18, 70, 12);
    sun.castShadow = true;
    sun.shadow.mapSize.set(2048, 2048);
    Object.assign(sun.shadow.camera, { left: -62, right: 62, top: 62, bottom: -62, near: 10, far: 110 });
    sun.shadow.bias = -0.0006;
    const back = new DirectionalLight(0x9fc4ff, 0.9);
    back.position.set(-50, 30, -20);
    this.scene.add(sun, back);
  }

  setCars(header) {
    for (const car of this.cars) {
      this.scene.remove(car.group);
      car.group.traverse((each) => each.isMesh && (each.geometry.dispose(), each.material.dispose()));
    }
    const places = [0, 0]; // cars so far, of each team
    this.cars = header.cars.map((car) => new Car(teamOf(car), places[teamOf(car)]++));
    this.scene.add(...this.cars.map((car) => car.group));
  }

  resize() {
    const { clientWidth, clientHeight } = this.renderer.domElement.parentElement;
    this.width = Math.max(clientWidth, 1);
    this.height = Math.max(clientHeight, 1);
    this.renderer.setPixelRatio(this.quality);
    this.renderer.setSize(this.width, this.height, false);
    this.cameras.resize(this.width, this.height);
  }

  /** `elapsed` seconds since the last picture, `played` seconds of play in between; `from`: first tick of the episode. */
  draw(clip, pose, { elapsed, played, from, team, cut, seconds }) {
    this.cameras.update(pose, elapsed, cut);
    const { camera } = this.cameras;
    const shadows = this.renderer.shadowMap.enabled;
    this.ball.update(clip, pose, played, from, team, camera);
    pose.cars.forEach((car, k) => this.cars[k].update(car, { elapsed: played, seconds, camera, cut, blob: !shadows }));
    this.pads.update(pose.pads, seconds);
    this.renderer.render(this.scene, camera);
    this.frames++;
    this.adapt(elapsed);
  }

  /** On a slow machine, removes the shadows, then reduces the number of pixels. */
  adapt(elapsed) {
    this.slow = elapsed > SLOW ? this.slow + elapsed : Math.max(this.slow - elapsed, 0);
    if (this.slow < 1.5) return;
    this.slow = 0;
    if (this.renderer.shadowMap.enabled) {
      this.renderer.shadowMap.enabled = false;
      this.scene.traverse((each) => each.material && (each.material.needsUpdate = true));
    } else if (this.quality > 0.5) {
      this.quality = Math.max(this.quality * 0.75, 0.5);
      this.resize();
    }
  }

  /** Returns the position on the floor at a point of the canvas, in uu, limited to the field. */
  floorAt(x, y) {
    const ray = new Raycaster();
    ray.setFromCamera(new Vector2((x / this.width) * 2 - 1, 1 - (y / this.height) * 2), this.cameras.camera);
    const { origin, direction } = ray.ray;
    if (direction.y > -1e-3) return null;
    const point = new Vector3().copy(origin).addScaledVector(direction, -origin.y / direction.y);
    const limit = (value, most) => Math.min(Math.max(value, -most), most);
    point.set(limit(point.x, FIELD.x - 2), 0, limit(point.z, FIELD.z - 2));
    return toGame(point);
  }
}

function makeSky() {
  const canvas = document.createElement("canvas");
  canvas.width = 4;
  canvas.height = 256;
  const g = canvas.getContext("2d");
  const sky = g.createLinearGradient(0, 0, 0, 256);
  sky.addColorStop(0, "#060912");
  sky.addColorStop(0.55, "#111d35");
  sky.addColorStop(1, "#0a101c");
  g.fillStyle = sky;
  g.fillRect(0, 0, 4, 256);
  const texture = new CanvasTexture(canvas);
  texture.colorSpace = SRGBColorSpace;
  return texture;
}

/** Whether the browser draws without a GPU. */
function drawsInSoftware() {
  const gl = document.createElement("canvas").getContext("webgl2");
  if (!gl) throw new Error("this browser has no WebGL 2");
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : "";
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|software/i.test(name);
}
