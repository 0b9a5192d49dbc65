// The viewer of `python -m rlbot.watch`: plays a recording or a live match. An exported page contains its data.
import { LiveBuffer, Recording } from "./clip.js";
import { CAMERAS } from "./cameras.js";
import { button, element } from "./dom.js";
import { Help } from "./help.js";
import { Labels, lastEvent, Mind, Roster, Scoreboard } from "./hud.js";
import { poseAt } from "./interpolate.js";
import { connect, send } from "./live.js";
import { Player } from "./player.js";
import { Stage } from "./scene.js";
import { Timeline } from "./timeline.js";

const app = document.getElementById("app");

/** Returns a file: from the server, or from the page itself, which holds it as base64. */
async function file(name) {
  const inside = document.getElementById(name);
  if (inside) {
    const text = atob(inside.textContent.trim());
    return Uint8Array.from(text, (c) => c.charCodeAt(0)).buffer;
  }
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  return answer.arrayBuffer();
}

const json = async (name) => JSON.parse(new TextDecoder().decode(await file(name)));

class Viewer {
  constructor(clip, meshes, page) {
    this.clip = clip;
    this.player = new Player(clip);
    const canvas = element("canvas", "picture");
    app.replaceChildren(canvas);
    this.stage = new Stage(canvas, meshes, page.pads);
    this.scoreboard = new Scoreboard();
    this.labels = new Labels();
    this.roster = new Roster((k) => this.follow(k));
    this.mind = new Mind();
    this.timeline = new Timeline(this.player);
    this.help = new Help();
    this.help.fill(clip.live);
    this.message = element("div", "message");
    this.buttons = this.makeButtons();
    const parts = [this.scoreboard, this.labels, this.roster, this.mind, this.timeline, this.help];
    app.append(...parts.map((part) => part.root), this.scoreboard.banner, this.buttons, this.message);
    this.status = { deterministic: false };
    this.placing = false;
    if (clip.length) this.setHeader(clip.header);
    this.listen(canvas);
    this.lastTime = performance.now();
    this.lastTick = this.player.tick;
    this.episode = -1;
    requestAnimationFrame((time) => this.tick(time));
  }

  makeButtons() {
    this.cameraButtons = Object.fromEntries(
      CAMERAS.map((name, i) => [name, button(name, `Camera: ${name} (${i + 1})`, () => this.camera(name))]),
    );
    const buttons = Object.values(this.cameraButtons);
    if (this.clip.live) {
      this.chance = button("drawn", "Likeliest actions, or drawn ones (D)", () => this.key("d"));
      this.place = button("place ball", "Then click on the field (P)", () => this.key("p"));
      buttons.push(
        button("restart", "Restart from kickoff (R)", () => this.key("r")),
        this.chance,
        this.place,
      );
    }
    buttons.push(button("?", "Keys (H)", () => this.help.toggle()));
    return element("div", "buttons", "", ...buttons);
  }

  setHeader(header) {
    this.clip.header = header;
    this.stage.setCars(header);
    for (const part of [this.scoreboard, this.labels, this.roster]) part.header(header);
    this.mind.last = -1;
  }

  camera(name) {
    this.stage.cameras.choose(name);
  }

  follow(k) {
    this.stage.cameras.car = k;
    this.camera("follow");
  }

  listen(canvas) {
    window.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (this.key(event.key, event.shiftKey)) event.preventDefault();
    });
    canvas.addEventListener("click", (event) => {
      if (!this.placing) return;
      const place = this.stage.floorAt(event.offsetX, event.offsetY);
      if (place) send({ ball: [place[0], place[1]] });
      this.setPlacing(false);
    });
  }

  setPlacing(on) {
    this.placing = on;
    this.place?.classList.toggle("on", on);
    app.classList.toggle("placing", on);
  }

  /** Handles a key; returns whether it has a meaning. */
  key(key, shift = false) {
    const { player } = this;
    const car = this.stage.cameras;
    const actions = {
      " ": () => player.toggle(),
      ",": () => player.step(-1),
      ".": () => player.step(1),
      arrowleft: () => player.jump(shift ? -10 : -2),
      arrowright: () => player.jump(shift ? 10 : 2),
      home: () => player.seek(player.first),
      end: () => player.end(),
      "+": () => player.changeSpeed(1),
      "=": () => player.changeSpeed(1),
      "-": () => player.changeSpeed(-1),
      c: () => this.camera(CAMERAS[(CAMERAS.indexOf(car.mode) + 1) % CAMERAS.length]),
      tab: () => this.follow((car.car + 1) % this.clip.header.cars.length),
      b: () => (car.ballCam = !car.ballCam),
      n: () => (this.labels.shown = !this.labels.shown),
      i: () => (this.mind.root.hidden = !this.mind.root.hidden),
      f: () => (document.fullscreenElement ? document.exitFullscreen() : app.requestFullscreen()),
      h: () => this.help.toggle(),
      "?": () => this.help.toggle(),
      escape: () => ((this.help.root.hidden = true), this.setPlacing(false)),
    };
    CAMERAS.forEach((name, i) => (actions[String(i + 1)] = () => this.camera(name)));
    if (this.clip.live) {
      actions.r = () => send({ restart: true });
      actions.d = () => send({ deterministic: !this.status.deterministic });
      actions.p = () => this.setPlacing(!this.placing);
    }
    const action = actions[key.toLowerCase()];
    action?.();
    return Boolean(action);
  }

  setStatus(status) {
    this.status = status;
    this.player.playing = !status.paused;
    this.player.speed = status.speed;
    this.chance.textContent = status.deterministic ? "likeliest" : "drawn";
    this.message.textContent = status.message ?? "";
  }

  tick(time) {
    const elapsed = Math.min((time - this.lastTime) / 1000, 0.25);
    this.lastTime = time;
    if (this.clip.length) this.draw(elapsed, time / 1000);
    requestAnimationFrame((next) => this.tick(next));
  }

  draw(elapsed, seconds) {
    const { clip, player, stage } = this;
    player.advance(elapsed);
    const pose = poseAt(clip, player.tick);
    const played = (player.tick - this.lastTick) / clip.header.tick_rate;
    this.lastTick = player.tick;
    const from = episodeStart(clip, pose.frame);
    const cut = from !== this.episode || Math.abs(played) > 0.5;
    this.episode = from;
    const touch = lastEvent(clip, player.tick, "touch");
    const team = touch && touch.tick >= from ? touch.team : null;
    stage.draw(clip, pose, { elapsed, played, from, team, cut, seconds });
    const { cameras } = stage;
    cameras.car = Math.min(cameras.car, pose.cars.length - 1);
    this.scoreboard.update(clip, pose);
    this.labels.update(pose, cameras.camera, stage.width, stage.height, cameras.mode === "follow" ? cameras.car : -1);
    this.roster.update(pose, cameras.car);
    this.mind.update(clip, pose, cameras.car);
    this.timeline.update();
    for (const [name, each] of Object.entries(this.cameraButtons)) each.classList.toggle("on", name === cameras.mode);
    this.pose = pose;
  }
}

/** Returns the tick at which the episode of a frame began. Its first frame has the same tick as the frame before. */
function episodeStart(clip, frame) {
  const least = Math.max(frame - 40, 0); // trails are not longer
  for (let i = frame; i > least; i--) if (clip.tick(i) === clip.tick(i - 1)) return clip.tick(i);
  return least === 0 ? clip.tick(0) : -1;
}

async function main() {
  const page = await json("page.json");
  const meshes = await file("arena.bin");
  if (!page.live) {
    window.viewer = new Viewer(await Recording.read(await file("recording.npz")), meshes, page);
    return;
  }
  const clip = new LiveBuffer({ cars: [], tick_rate: 120 });
  const viewer = (window.viewer = new Viewer(clip, meshes, page));
  viewer.player.command = send;
  connect({
    header: (header) => {
      clip.clear(header);
      viewer.setHeader(header);
    },
    frame: (frame) => clip.push(frame),
    status: (status) => viewer.setStatus(status),
    lost: () => (viewer.message.textContent = "The match has ended: python -m rlbot.watch is not running any more"),
  });
}

main().catch((error) => {
  app.replaceChildren(element("div", "failure", `This match cannot be shown: ${error.message}`));
  throw error;
});
