// A trail: a band through the last positions of an object, which faces the camera and fades out.
import {
  AdditiveBlending,
  BufferAttribute,
  BufferGeometry,
  Color,
  DoubleSide,
  Mesh,
  ShaderMaterial,
  Vector3,
} from "three";

const along = new Vector3();
const side = new Vector3();
const eye = new Vector3();

export class Ribbon {
  constructor(points, width, color) {
    this.points = points;
    this.width = width;
    this.places = new BufferAttribute(new Float32Array(points * 6), 3);
    this.fade = new BufferAttribute(new Float32Array(points * 2), 1);
    const index = [];
    for (let k = 0; k + 1 < points; k++) index.push(2 * k, 2 * k + 1, 2 * k + 2, 2 * k + 1, 2 * k + 3, 2 * k + 2);
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", this.places);
    geometry.setAttribute("fade", this.fade);
    geometry.setIndex(index);
    this.material = new ShaderMaterial({
      uniforms: { color: { value: new Color(color) } },
      vertexShader: `
        attribute float fade;
        varying float strength;
        void main() {
          strength = fade;
          gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
        }`,
      fragmentShader: `
        uniform vec3 color;
        varying float strength;
        void main() {
          gl_FragColor = vec4(color, strength);
        }`,
      transparent: true,
      depthWrite: false,
      blending: AdditiveBlending,
      side: DoubleSide,
    });
    this.mesh = new Mesh(geometry, this.material);
    this.mesh.frustumCulled = false;
    this.mesh.renderOrder = 3;
  }

  /** `trail`: positions, newest first; `strength`: opacity at the head, or a function of the position. */
  update(trail, strength, camera) {
    this.mesh.visible = trail.length > 1;
    for (let k = 0; k < this.points; k++) {
      const at = trail[Math.min(k, trail.length - 1)];
      const next = trail[Math.min(k + 1, trail.length - 1)];
      if (k + 1 < trail.length) along.subVectors(at, next);
      eye.subVectors(camera.position, at);
      side.crossVectors(along, eye);
      const age = k / (this.points - 1);
      const length = side.length() || 1;
      const seen = Math.min((1.6 * length) / (along.length() * eye.length() || 1), 1); // faint if seen end-on
      side.multiplyScalar((this.width * (1 - age * 0.75)) / length);
      this.places.setXYZ(2 * k, at.x + side.x, at.y + side.y, at.z + side.z);
      this.places.setXYZ(2 * k + 1, at.x - side.x, at.y - side.y, at.z - side.z);
      const own = (typeof strength === "function" ? strength(k) : strength) * (1 - age) ** 1.5 * seen;
      this.fade.setX(2 * k, own);
      this.fade.setX(2 * k + 1, own);
    }
    this.places.needsUpdate = this.fade.needsUpdate = true;
  }
}
