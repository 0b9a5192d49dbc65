//! One game: an arena, its score and its events. This file does not use Python.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rocketsim::{
    Arena, ArenaConfig, ArenaEvent, ArenaMemWeightMode, BallState, BoostPadState, CarBodyConfig, CarControls, CarCore,
    CarState, GameMode, Mat3A, PhysState, Team, Vec3A,
};

use crate::layout::{self, CAR_WIDTH, PADS};

pub const CONTROLS: usize = 8;
pub const BALL_PLACEMENT: usize = 9; // position, velocity, angular velocity
pub const CAR_PLACEMENT: usize = 13; // position, yaw, pitch, roll, velocity, angular velocity, boost
pub const MAX_CARS: usize = 8;

pub const GOAL_CREDIT_TICKS: u64 = 480; // a goal counts for the last car that touched the ball in this time
const SHOT_SPEED: f32 = 1750.0; // uu/s
const SHOT_TICKS: u64 = 36; // after the touch
const SHOT_PAUSE: u32 = 120; // ticks from one shot to the next
const GOAL_Y: f32 = 5124.25; // uu: the goal line, and posts and bar with a tenth of the ball's radius
const GOAL_X: f32 = 892.755 + 9.125;
const GOAL_Z: f32 = 642.775 + 9.125;
const FAR: f32 = 20_000.0; // uu: a position beyond this is an error
const FIELD: Vec3A = Vec3A::new(4300.0, 6200.0, 2300.0); // uu: around the walls and the goals
const FLOOR: f32 = -100.0;
const FASTEST: f32 = 1e6; // uu/s and rad/s: larger than every limit of the game
const CAR_SPEED: f32 = 2300.0;
const CAR_SPIN: f32 = 5.5;
const BALL_SPEED: f32 = 6000.0;
const BALL_SPIN: f32 = 6.0;
const MAX_COOLDOWN: f32 = 10.0; // s, of a big pad

/// An event: `car` did it; `other` is the car that it was done to, or the pad.
#[derive(Clone, Copy)]
pub enum Kind {
    Touch,
    Bump,
    Demolition,
    Pad,
    Goal,
    Respawn,
}

#[derive(Clone, Copy)]
pub struct Event {
    pub tick: u32, // of the step, from 0
    pub kind: Kind,
    pub car: i32, // in the order of the slots; -1 for a goal that counts for no car
    pub other: i32,
}

#[derive(Clone, Copy, Default)]
pub struct Tally {
    pub touched: bool,           // during the last step
    pub touch_tick: Option<u64>, // of the game's clock
    pub goals: u32,
    pub saves: u32,
    pub shots: u32,
    pub demos: u32,
    pub pickups: u32,
}

#[derive(Clone)]
pub struct Game {
    pub arena: Arena,
    pub slots: Vec<usize>,
    pub orange: Vec<bool>, // of each car
    pub tally: Vec<Tally>,
    pub events: Vec<Event>, // of the last step
    pub last_touch: usize,  // car + 1, 0 for none
    pub score: [u32; 2],
    pub broken: Option<String>, // why the game stopped, until it is placed again
    pub clock: u64,             // ticks since it was placed or restored, and GOAL_CREDIT_TICKS
    pub in_goal: bool,
    shot: Option<Shot>,
    shot_pause: u32, // ticks until the next shot can count
}

/// A shot: a ball that is headed into a goal.
#[derive(Clone, Copy)]
struct Shot {
    at_orange: bool,
}

/// The arena that every new or restored game is copied from: no two bodies touch, and it is some ticks old, so that
/// events of up to two ticks ago have a tick of their own.
pub fn template(orange: &[bool]) -> Arena {
    let config = ArenaConfig::new(GameMode::Soccar).with_mem_weight_mode(ArenaMemWeightMode::Light).with_rng_seed(0);
    let mut arena = Arena::new_with_config(config);
    for (i, &orange) in orange.iter().enumerate() {
        let team = if orange { Team::Orange } else { Team::Blue };
        let car = arena.add_car(team, CarBodyConfig::OCTANE);
        let mut core = CarCore::DEFAULT;
        core.phys.pos = Vec3A::new(0.0, 1000.0 * i as f32 - 3500.0, 1000.0);
        arena.set_car_state(car, core);
    }
    let mut ball = BallState::DEFAULT;
    ball.phys.pos = Vec3A::new(3000.0, 0.0, 1000.0);
    arena.set_ball_state(ball);
    for _ in 0..4 {
        arena.step_tick();
    }
    arena.clear_persistent_manifolds();
    arena
}

/// Returns the arena's pad at each of `positions`, or an error that names the first position without one.
pub fn pad_order(arena: &Arena, positions: &[[f32; 2]]) -> Result<[usize; PADS], String> {
    if positions.len() != PADS || arena.num_boost_pads() != PADS {
        return Err(format!("there are {PADS} boost pads"));
    }
    let mut order = [0; PADS];
    for (place, &[x, y]) in order.iter_mut().zip(positions) {
        let near = |i: &usize| {
            let pos = arena.get_boost_pad_config(*i).pos;
            (pos.x - x).abs() < 10.0 && (pos.y - y).abs() < 10.0
        };
        *place = (0..PADS).find(near).ok_or_else(|| format!("no boost pad at ({x}, {y})"))?;
    }
    Ok(order)
}

/// Whether no number is NaN and every position is near the field. The broadphase converts positions to integers
/// without a check.
fn sound(phys: &PhysState) -> bool {
    // Not `max_element() < FAR`, which may leave a NaN out.
    phys.pos.abs().cmplt(Vec3A::splat(FAR)).all()
        && phys.vel.is_finite()
        && phys.ang_vel.is_finite()
        && phys.rot_mat.is_finite()
}

/// Returns what is wrong with a state that is to be set, if anything is.
pub fn refusal(phys: &PhysState) -> Option<&'static str> {
    let PhysState { pos, vel, ang_vel, rot_mat } = phys;
    if !(pos.is_finite() && vel.is_finite() && ang_vel.is_finite() && rot_mat.is_finite()) {
        Some("is not finite")
    } else if pos.abs().cmpgt(FIELD).any() || pos.z < FLOOR {
        Some("is outside the field")
    } else if vel.abs().max_element().max(ang_vel.abs().max_element()) > FASTEST {
        Some("is faster than the game allows")
    } else {
        None
    }
}

pub fn controls(row: &[f32]) -> CarControls {
    CarControls {
        throttle: row[0],
        steer: row[1],
        pitch: row[2],
        yaw: row[3],
        roll: row[4],
        jump: row[5] > 0.0,
        boost: row[6] > 0.0,
        handbrake: row[7] > 0.0,
    }
    .clamp()
}

fn vector(row: &[f32]) -> Vec3A {
    Vec3A::new(row[0], row[1], row[2])
}

/// The rotation of yaw, pitch and roll in rad, as of RocketSim v2's Angle.
fn rotation(yaw: f32, pitch: f32, roll: f32) -> Mat3A {
    let ((sy, cy), (sp, cp), (sr, cr)) = (yaw.sin_cos(), pitch.sin_cos(), roll.sin_cos());
    Mat3A::from_cols(
        Vec3A::new(cp * cy, cp * sy, sp),
        Vec3A::new(cy * sp * sr - cr * sy, sy * sp * sr + cr * cy, -cp * sr),
        Vec3A::new(-cr * cy * sp - sr * sy, -cr * sy * sp + sr * cy, cp * cr),
    )
}

/// A hash of these numbers, the same on every machine (FNV-1a).
fn digest(numbers: &[&[f32]]) -> u64 {
    let bytes = numbers.iter().copied().flatten().flat_map(|x| x.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Game {
    /// A game in a copy of `template`, with cars in these slots; slots from `half` on are orange.
    pub fn new(template: &Arena, slots: Vec<usize>, half: usize) -> Self {
        Self {
            arena: template.clone(),
            orange: slots.iter().map(|&slot| slot >= half).collect(),
            tally: vec![Tally::default(); slots.len()],
            slots,
            events: Vec::new(),
            last_touch: 0,
            score: [0, 0],
            broken: None,
            clock: GOAL_CREDIT_TICKS,
            in_goal: false,
            shot: None,
            shot_pause: 0,
        }
    }

    /// Starts again with `ball` (9), `cars` (k x 13) and the seconds until each of the engine's pads is back, or no
    /// numbers if all are full; the score goes on. The next states depend only on these and on the controls. An error
    /// says what cannot be placed; the game is then unchanged.
    pub fn place(&mut self, template: &Arena, ball: &[f32], cars: &[f32], pads: &[f32]) -> Result<(), String> {
        let mut ball_state = BallState::DEFAULT;
        ball_state.phys.pos = vector(&ball[0..3]);
        ball_state.phys.vel = vector(&ball[3..6]);
        ball_state.phys.ang_vel = vector(&ball[6..9]);
        let cores: Vec<CarCore> = cars.chunks_exact(CAR_PLACEMENT).map(start).collect();
        check(&ball_state.phys, cores.iter().map(|core| &core.phys))?;
        if cores.iter().any(|core| !core.boost.is_finite()) {
            return Err("a car's boost is not finite".into());
        }
        if pads.iter().any(|left| !(0.0..=MAX_COOLDOWN).contains(left)) {
            return Err(format!("the timer of a boost pad is not 0 to {MAX_COOLDOWN} s"));
        }
        self.renew(template, |game| {
            game.arena.rng.seed(digest(&[ball, cars, pads])); // decides where demolished cars respawn
            game.arena.set_ball_state(ball_state);
            for (i, &core) in cores.iter().enumerate() {
                game.arena.set_car_state(i, core);
            }
            for i in 0..cores.len() {
                game.arena.refresh_car_contacts(i);
            }
            for (i, &cooldown) in pads.iter().enumerate() {
                game.arena.set_boost_pad_state(i, BoostPadState { cooldown, ..BoostPadState::DEFAULT });
            }
        })
    }

    /// Replaces the arena with a copy of `template`, clears events and counts, and lets `set` set the state.
    pub fn renew(&mut self, template: &Arena, set: impl FnOnce(&mut Self)) -> Result<(), String> {
        self.arena.clone_from(template);
        self.tally.fill(Tally::default());
        self.events.clear();
        self.last_touch = 0;
        self.broken = None;
        self.clock = GOAL_CREDIT_TICKS;
        self.in_goal = false;
        (self.shot, self.shot_pause) = (None, 0);
        self.guarded(set);
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// Advances by `delay` ticks with the previous controls, and then by the rest of `ticks` with `rows` (k x 8).
    pub fn step(&mut self, rows: &[f32], delay: usize, ticks: usize) {
        self.events.clear();
        for tally in &mut self.tally {
            tally.touched = false;
        }
        if let Some(at) = rows.iter().position(|x| !x.is_finite()) {
            self.broken = Some(format!("controls of car {} are not finite", at / CONTROLS));
        }
        if self.broken.is_some() {
            return;
        }
        self.guarded(|game| {
            for tick in 0..ticks {
                if tick == delay {
                    for (i, row) in rows.chunks_exact(CONTROLS).enumerate() {
                        game.arena.set_car_controls(i, controls(row));
                    }
                }
                game.tick(tick);
                if !game.is_sound() {
                    game.broken = Some("something is not finite or far outside the field".into());
                    return;
                }
            }
        });
    }

    /// Calls `action`. If it panics, the game is broken, and `broken` says why.
    fn guarded(&mut self, action: impl FnOnce(&mut Self)) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| action(self))) {
            self.broken = Some(format!("RocketSim panicked: {}", said(panic.as_ref())));
        }
    }

    fn is_sound(&self) -> bool {
        sound(&self.arena.get_ball_state().phys)
            && (0..self.slots.len()).all(|i| sound(&self.arena.get_car_state(i).phys))
    }

    fn tick(&mut self, tick: usize) {
        self.clock += 1;
        let now = self.clock;
        let gone: u32 = (0..self.slots.len()).map(|i| u32::from(self.arena.get_car_state(i).is_demoed) << i).sum();
        let (events, tally) = (&mut self.events, &mut self.tally);
        let mut note = |kind, car: usize, other: i32| {
            events.push(Event { tick: tick as u32, kind, car: car as i32, other });
        };
        for event in self.arena.step_tick() {
            match event {
                ArenaEvent::CarHitBall(hit) => {
                    tally[hit.car_idx].touched = true;
                    tally[hit.car_idx].touch_tick = Some(now);
                    self.last_touch = hit.car_idx + 1;
                    note(Kind::Touch, hit.car_idx, -1);
                }
                ArenaEvent::CarHitCar(hit) => {
                    tally[hit.bumper_car_idx].demos += u32::from(hit.is_demo);
                    let kind = if hit.is_demo { Kind::Demolition } else { Kind::Bump };
                    note(kind, hit.bumper_car_idx, hit.victim_car_idx as i32);
                }
                ArenaEvent::CarPickupBoost(pickup) => {
                    tally[pickup.car_idx].pickups += 1;
                    note(Kind::Pad, pickup.car_idx, pickup.boost_pad_idx as i32);
                }
                _ => {}
            }
        }
        for i in 0..self.slots.len() {
            if gone >> i & 1 == 1 && !self.arena.get_car_state(i).is_demoed {
                note(Kind::Respawn, i, -1);
            }
        }
        let in_goal = self.arena.is_ball_scored();
        if in_goal && !self.in_goal {
            self.score_goal(tick, now);
        } else if !in_goal {
            self.watch_shots(now);
        }
        self.in_goal = in_goal;
    }

    fn score_goal(&mut self, tick: usize, now: u64) {
        let orange = self.arena.get_ball_state().phys.pos.y < 0.0;
        self.score[usize::from(orange)] += 1;
        let scorer = self.last_of(orange, now, GOAL_CREDIT_TICKS);
        if let Some(i) = scorer {
            self.tally[i].goals += 1;
        }
        let car = scorer.map_or(-1, |i| i as i32);
        self.events.push(Event { tick: tick as u32, kind: Kind::Goal, car, other: i32::from(orange) });
    }

    /// The car of a team that touched the ball last, at most `most` ticks ago.
    fn last_of(&self, orange: bool, now: u64, most: u64) -> Option<usize> {
        let its = (0..self.slots.len()).filter(|&i| self.orange[i] == orange);
        let touches = its.filter_map(|i| Some((self.tally[i].touch_tick?, i)));
        touches.filter(|&(touch, _)| touch + most >= now).max().map(|(_, i)| i)
    }

    /// Counts shots and saves as RocketSim v2 does. Shot: a fast ball that a car touched 0.3 s ago is headed into a
    /// goal. Save: it no longer is, after a touch by the team of that goal.
    fn watch_shots(&mut self, now: u64) {
        let phys = &self.arena.get_ball_state().phys;
        if let Some(Shot { at_orange }) = self.shot {
            if entering(phys) != Some(at_orange) {
                if let Some(i) = self.last_of(at_orange, now, 1) {
                    self.tally[i].saves += 1;
                }
                self.shot = None;
            }
        } else if self.shot_pause > 0 {
            self.shot_pause -= 1;
        } else if phys.vel.length_squared() >= SHOT_SPEED * SHOT_SPEED
            && let Some(at_orange) = entering(phys)
        {
            let shooter = self.last_of(!at_orange, now, SHOT_TICKS + 1);
            if let Some(i) = shooter.filter(|&i| self.tally[i].touch_tick.is_some_and(|t| t + SHOT_TICKS <= now)) {
                self.tally[i].shots += 1;
                (self.shot, self.shot_pause) = (Some(Shot { at_orange }), SHOT_PAUSE);
            }
        }
    }

    /// Writes the arena's row and the rows of all its slots. In a broken game, ball and cars are NaN.
    pub fn read(&self, pads: &[usize; PADS], arena: &mut [f32], cars: &mut [f32]) {
        use layout::arena as at;
        arena[at::LAST_TOUCH_ID] = self.last_touch as f32;
        arena[at::BLUE_SCORE] = self.score[0] as f32;
        arena[at::ORANGE_SCORE] = self.score[1] as f32;
        let ball = &self.arena.get_ball_state().phys;
        put(arena, at::BALL_POS, ball.pos);
        put(arena, at::BALL_VEL, ball.vel.clamp_length_max(BALL_SPEED));
        put(arena, at::BALL_ANG_VEL, ball.ang_vel.clamp_length_max(BALL_SPIN));
        put(arena, at::BALL_FORWARD, ball.rot_mat.x_axis);
        put(arena, at::BALL_RIGHT, ball.rot_mat.y_axis);
        put(arena, at::BALL_UP, ball.rot_mat.z_axis);
        for (i, &pad) in pads.iter().enumerate() {
            let left = self.arena.get_boost_pad_state(pad).cooldown;
            arena[at::PAD_ACTIVE + i] = f32::from(left <= 0.0);
            arena[at::PAD_TIMER + i] = left;
        }
        for (i, &slot) in self.slots.iter().enumerate() {
            let row = &mut cars[slot * CAR_WIDTH..(slot + 1) * CAR_WIDTH];
            self.read_car(i, self.arena.get_car_state(i), row);
        }
        if self.broken.is_some() {
            for at in [at::BALL_POS, at::BALL_VEL, at::BALL_ANG_VEL, at::BALL_FORWARD, at::BALL_RIGHT, at::BALL_UP] {
                put(arena, at, Vec3A::NAN);
            }
            for &slot in &self.slots {
                use layout::car as at;
                for at in [at::POS, at::VEL, at::ANG_VEL, at::FORWARD, at::RIGHT, at::UP] {
                    put(cars, slot * CAR_WIDTH + at, Vec3A::NAN);
                }
            }
        }
    }

    fn read_car(&self, i: usize, state: &CarState, row: &mut [f32]) {
        use layout::car as at;
        let tally = &self.tally[i];
        row[at::ID] = (i + 1) as f32;
        row[at::TEAM] = f32::from(self.orange[i]);
        row[at::GOALS] = tally.goals as f32;
        row[at::SAVES] = tally.saves as f32;
        row[at::SHOTS] = tally.shots as f32;
        row[at::DEMOS] = tally.demos as f32;
        row[at::BOOST_PICKUPS] = tally.pickups as f32;
        row[at::IS_DEMOED] = f32::from(state.is_demoed);
        row[at::ON_GROUND] = f32::from(state.is_on_ground());
        row[at::TOUCHED] = f32::from(tally.touched);
        row[at::BOOST] = state.boost;
        put(row, at::POS, state.phys.pos);
        // A tick applies these limits first, so larger numbers never have an effect.
        put(row, at::VEL, state.phys.vel.clamp_length_max(CAR_SPEED));
        put(row, at::ANG_VEL, state.phys.ang_vel.clamp_length_max(CAR_SPIN));
        put(row, at::FORWARD, state.phys.rot_mat.x_axis);
        put(row, at::RIGHT, state.phys.rot_mat.y_axis);
        put(row, at::UP, state.phys.rot_mat.z_axis);
        row[at::HAS_FLIP] = f32::from(state.has_flip_or_jump());
        row[at::HAS_JUMPED] = f32::from(state.has_jumped);
        row[at::HAS_DOUBLE_JUMPED] = f32::from(state.has_double_jumped);
        row[at::HAS_FLIPPED] = f32::from(state.has_flipped);
        row[at::AIR_TIME_SINCE_JUMP] = state.air_time_since_jump;
        row[at::IS_SUPERSONIC] = f32::from(state.is_supersonic);
        row[at::DEMO_TIMER] = if state.is_demoed { state.demo_respawn_timer } else { 0.0 };
        row[at::HANDBRAKE] = state.handbrake_val;
    }
}

/// The goal, orange's or blue's, that the ball would enter within 2 s of free flight, if any.
fn entering(phys: &PhysState) -> Option<bool> {
    let at_orange = phys.vel.y > 0.0;
    let goal = if at_orange { GOAL_Y } else { -GOAL_Y };
    let time = (goal - phys.pos.y) / phys.vel.y;
    let (x, z) = (phys.pos.x + phys.vel.x * time, phys.pos.z + phys.vel.z * time - 325.0 * time * time);
    ((0.0..=2.0).contains(&time) && x.abs() <= GOAL_X && z <= GOAL_Z).then_some(at_orange)
}

/// The state of a car with this initial state: 13 numbers.
fn start(row: &[f32]) -> CarCore {
    let phys = PhysState {
        pos: vector(&row[0..3]),
        rot_mat: rotation(row[3], row[4], row[5]),
        vel: vector(&row[6..9]),
        ang_vel: vector(&row[9..12]),
    };
    // A flip time of 0 would mean that a flip has just begun, which locks the pitch for 0.3 s.
    CarCore { phys, boost: row[12], flip_time: 10.0, ..CarCore::DEFAULT }
}

/// Returns an error that names the first of these that cannot be set.
pub fn check<'a>(ball: &PhysState, cars: impl Iterator<Item = &'a PhysState>) -> Result<(), String> {
    if let Some(reason) = refusal(ball) {
        return Err(format!("the ball {reason}"));
    }
    for (i, phys) in cars.enumerate() {
        if let Some(reason) = refusal(phys) {
            return Err(format!("car {i} {reason}"));
        }
    }
    Ok(())
}

fn put(row: &mut [f32], at: usize, vector: Vec3A) {
    row[at..at + 3].copy_from_slice(&vector.to_array());
}

pub fn said(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a word")
}

#[cfg(test)]
mod tests;
