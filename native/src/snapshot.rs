//! Converts a game to rows of numbers and back. One list of fields serves both directions.
//!
//! Some of an arena's state cannot be set: contact points, the order of pairs, and the contacts of the wheels. So a
//! game is restored into a copy of its template, and all games that restore the same rows continue alike, to the last
//! bit. This is also true of the game that was encoded, but only after it has been restored from its own rows.

use rocketsim::{Arena, BallState, BoostPadState, CarControls, CarState, PhysState, Vec3A};

use crate::game::{GOAL_CREDIT_TICKS, Game, check};
use crate::layout::PADS;

const PHYS: usize = 18;
pub const ARENA_ROW: usize = PHYS + PADS + 4;
pub const CAR_ROW: usize = PHYS + 2 * 8 + 3 + 11 + 4 + 13 + 5;

const EXTRA_HIT_TICKS: u64 = 2; // in this time after a hit the ball takes no second extra hit

/// The numbers of a row, which are written or read one after the other.
struct Tape<'a> {
    row: &'a mut [f32],
    at: usize,
    writes: bool,
}

impl Tape<'_> {
    fn number(&mut self, x: &mut f32) {
        if self.writes {
            self.row[self.at] = *x;
        } else {
            *x = self.row[self.at];
        }
        self.at += 1;
    }

    fn flag(&mut self, x: &mut bool) {
        let mut number = f32::from(*x);
        self.number(&mut number);
        *x = number > 0.0;
    }

    fn count(&mut self, x: &mut u64) {
        let mut number = *x as f32;
        self.number(&mut number);
        *x = number as u64;
    }

    /// 0 means none.
    fn index(&mut self, x: &mut Option<usize>) {
        let mut number = x.map_or(0, |i| i as u64 + 1);
        self.count(&mut number);
        *x = (number as usize).checked_sub(1);
    }

    /// A tick of the past, stored as how long ago it was; more than `most` ticks ago means none.
    fn tick(&mut self, x: &mut Option<u64>, now: u64, most: u64) {
        let mut ago = x.map(|tick| (now - tick) as usize).filter(|&ago| ago as u64 <= most);
        self.index(&mut ago);
        *x = ago.and_then(|ago| now.checked_sub(ago as u64));
    }

    fn vector(&mut self, v: &mut Vec3A) {
        let mut numbers = v.to_array();
        for x in &mut numbers {
            self.number(x);
        }
        *v = Vec3A::from_array(numbers);
    }

    fn phys(&mut self, phys: &mut PhysState) {
        self.vector(&mut phys.pos);
        self.vector(&mut phys.vel);
        self.vector(&mut phys.ang_vel);
        self.vector(&mut phys.rot_mat.x_axis);
        self.vector(&mut phys.rot_mat.y_axis);
        self.vector(&mut phys.rot_mat.z_axis);
    }

    fn controls(&mut self, controls: &mut CarControls) {
        let mut numbers = controls.to_floats();
        for x in &mut numbers {
            self.number(x);
        }
        *controls = CarControls::from_floats(numbers, 0.5).clamp();
    }
}

/// A car, with the parts of its state that are stored elsewhere.
struct Car {
    state: CarState,
    before: CarControls,
    on_ground: bool,
    wheels: [bool; 4],
    touch_tick: Option<u64>,
    pad: Option<usize>, // the pad that it is on, and how many cars came to it earlier
    place: u64,
}

impl Car {
    fn of(game: &Game, i: usize) -> Self {
        let state = *game.arena.get_car_state(i);
        let mut car = Self {
            state,
            before: *state.prev_controls(),
            on_ground: state.is_on_ground(),
            wheels: state.wheels_with_contact().map(|hit| hit.is_some()),
            touch_tick: game.tally[i].touch_tick,
            pad: None,
            place: 0,
        };
        for pad in 0..PADS {
            let members = game.arena.get_boost_pad_state(pad).touching_car_idxs;
            if let Some(place) = members.iter().position(|&member| member == i) {
                (car.pad, car.place) = (Some(pad), place as u64);
            }
        }
        car
    }

    fn blank() -> Self {
        Self {
            state: CarState::DEFAULT,
            before: CarControls::DEFAULT,
            on_ground: false,
            wheels: [false; 4],
            touch_tick: None,
            pad: None,
            place: 0,
        }
    }

    /// `now`: the tick of the arena and of the game's clock.
    fn pass(&mut self, tape: &mut Tape, now: (u64, u64)) {
        let s = &mut self.state;
        tape.phys(&mut s.phys);
        tape.controls(&mut s.controls);
        tape.controls(&mut self.before);
        tape.vector(&mut s.flip_rel_torque);
        for flag in [
            &mut s.has_jumped,
            &mut s.has_double_jumped,
            &mut s.has_flipped,
            &mut s.is_flipping,
            &mut s.is_jumping,
            &mut s.jump_hold_broken,
            &mut s.is_supersonic,
            &mut s.is_boosting,
            &mut s.is_auto_flipping,
            &mut s.is_demoed,
            &mut self.on_ground,
        ] {
            tape.flag(flag);
        }
        for wheel in &mut self.wheels {
            tape.flag(wheel);
        }
        let mut jump_ticks = u64::from(s.jump_ticks.min(1 << 20)); // a float32 is exact up to here
        tape.count(&mut jump_ticks);
        s.jump_ticks = jump_ticks as u32;
        for number in [
            &mut s.flip_time,
            &mut s.air_time,
            &mut s.air_time_since_jump,
            &mut s.boost,
            &mut s.handbrake_val,
            &mut s.supersonic_grace_timer,
            &mut s.time_since_boosted,
            &mut s.boosting_time,
            &mut s.auto_flip_timer,
            &mut s.auto_flip_torque_scale,
            &mut s.bump_cooldown_timer,
            &mut s.demo_respawn_timer,
        ] {
            tape.number(number);
        }
        tape.index(&mut s.bump_cooldown_victim);
        tape.tick(&mut s.last_extra_hit_tick, now.0, EXTRA_HIT_TICKS);
        tape.tick(&mut self.touch_tick, now.1, GOAL_CREDIT_TICKS);
        tape.index(&mut self.pad);
        tape.count(&mut self.place);
    }
}

impl Game {
    /// Writes a row of the arena (`ARENA_ROW`) and a row of each car (`CAR_ROW`).
    pub fn encode(&self, arena: &mut [f32], cars: &mut [f32]) {
        let mut tape = Tape { row: arena, at: 0, writes: true };
        tape.phys(&mut self.arena.get_ball_state().phys.clone());
        for i in 0..PADS {
            tape.number(&mut self.arena.get_boost_pad_state(i).cooldown);
        }
        let seed = self.arena.rng.get_seed();
        for i in 0..4 {
            tape.count(&mut (seed >> (16 * i) & 0xffff)); // a float32 is exact for 16 bits
        }
        for (i, row) in cars.chunks_exact_mut(CAR_ROW).enumerate() {
            let mut tape = Tape { row, at: 0, writes: true };
            Car::of(self, i).pass(&mut tape, (self.arena.tick_count(), self.clock));
        }
    }

    /// Continues from rows of `encode`; counts start at 0, the score goes on. An error says what cannot be restored;
    /// the game is then unchanged.
    pub fn decode(&mut self, template: &Arena, arena: &mut [f32], cars: &mut [f32]) -> Result<(), String> {
        let mut tape = Tape { row: arena, at: 0, writes: false };
        let mut ball = BallState::DEFAULT;
        tape.phys(&mut ball.phys);
        let mut cooldowns = [0.0; PADS];
        for cooldown in &mut cooldowns {
            tape.number(cooldown);
        }
        let mut seed = 0;
        for i in 0..4 {
            let mut part = 0;
            tape.count(&mut part);
            seed |= part << (16 * i);
        }
        let count = self.slots.len();
        let mut restored = Vec::with_capacity(count);
        for row in cars.chunks_exact_mut(CAR_ROW) {
            let mut car = Car::blank();
            car.pass(&mut Tape { row, at: 0, writes: false }, (template.tick_count(), GOAL_CREDIT_TICKS));
            if car.state.bump_cooldown_victim.is_some_and(|i| i >= count) || car.pad.is_some_and(|i| i >= PADS) {
                return Err("it names a car or a boost pad that does not exist".into());
            }
            restored.push(car);
        }
        check(&ball.phys, restored.iter().map(|car| &car.state.phys))?;
        self.renew(template, |game| {
            game.arena.rng.seed(seed);
            game.arena.set_ball_state(ball);
            for (i, car) in restored.iter_mut().enumerate() {
                car.state.set_prev_controls(car.before);
                car.state.set_contact_flags(car.on_ground, car.wheels);
                game.arena.set_car_state_full(i, car.state);
                game.tally[i].touch_tick = car.touch_tick;
            }
            for (pad, &cooldown) in cooldowns.iter().enumerate() {
                let mut members: Vec<_> = (0..count).filter(|&i| restored[i].pad == Some(pad)).collect();
                members.sort_by_key(|&i| restored[i].place);
                let state = BoostPadState { cooldown, touching_car_idxs: members };
                game.arena.set_boost_pad_state(pad, state);
            }
            for i in 0..count {
                game.arena.refresh_car_sticky_gate(i);
            }
            game.in_goal = game.arena.is_ball_scored();
        })
    }
}

#[cfg(test)]
mod tests;
