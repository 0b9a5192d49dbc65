use super::*;

/// Writes a value to a row of `length` numbers, and reads it from there over another one.
fn through<T>(length: usize, mut value: T, mut other: T, pass: impl Fn(&mut Tape, &mut T)) -> T {
    let mut row = vec![f32::NAN; length];
    let mut tape = Tape { row: &mut row, at: 0, writes: true };
    pass(&mut tape, &mut value);
    assert_eq!(tape.at, length);
    pass(&mut Tape { row: &mut row, at: 0, writes: false }, &mut other);
    other
}

#[test]
fn every_kind_of_value_comes_back() {
    assert_eq!(through(1, 0.1, 0.0, |tape, x| tape.number(x)).to_bits(), 0.1_f32.to_bits());
    for flag in [false, true] {
        assert_eq!(through(1, flag, !flag, |tape, x| tape.flag(x)), flag);
    }
    for count in [0, 1, 65_535, 1 << 20] {
        assert_eq!(through(1, count, 7, |tape, x| tape.count(x)), count);
    }
    for index in [None, Some(0), Some(33)] {
        assert_eq!(through(1, index, Some(7), |tape, x| tape.index(x)), index);
    }
    let vector = Vec3A::new(1.5, -0.0, 3e-9);
    assert_eq!(through(3, vector, Vec3A::ONE, |tape, x| tape.vector(x)).to_array(), vector.to_array());
}

#[test]
fn a_tick_is_stored_as_how_long_ago_it_was() {
    let pass = |tape: &mut Tape, x: &mut Option<u64>| {
        let now = if tape.writes { 1000 } else { 50 };
        tape.tick(x, now, 3);
    };
    assert_eq!(through(1, Some(1000), None, pass), Some(50));
    assert_eq!(through(1, Some(997), None, pass), Some(47));
    assert_eq!(through(1, Some(996), Some(9), pass), None); // too long ago
    assert_eq!(through(1, None, Some(9), pass), None);
}

#[test]
fn controls_come_back() {
    let given =
        CarControls { throttle: -0.25, steer: 1.0, roll: 0.5, jump: true, handbrake: true, ..CarControls::DEFAULT };
    let found = through(8, given, CarControls::DEFAULT, |tape, x| tape.controls(x));
    assert_eq!(found.to_floats(), given.to_floats());
}

#[test]
fn a_car_fills_its_row_and_comes_back() {
    let mut car = Car::blank();
    car.state.phys.pos = Vec3A::new(1.0, 2.0, 3.0);
    car.state.phys.rot_mat.y_axis = Vec3A::new(0.0, 0.6, 0.8);
    car.state.has_jumped = true;
    car.state.is_demoed = true;
    car.state.jump_ticks = 12;
    car.state.boost = 33.3;
    car.state.demo_respawn_timer = 2.5;
    car.state.bump_cooldown_victim = Some(2);
    (car.on_ground, car.wheels) = (true, [true, false, true, true]);
    (car.touch_tick, car.pad, car.place) = (Some(480), Some(33), 1);
    let found = through(CAR_ROW, car, Car::blank(), |tape, car| car.pass(tape, (4, 500)));
    assert_eq!(found.state.phys.pos.to_array(), [1.0, 2.0, 3.0]);
    assert_eq!(found.state.phys.rot_mat.y_axis.to_array(), [0.0, 0.6, 0.8]);
    assert!(found.state.has_jumped && found.state.is_demoed && !found.state.has_flipped);
    assert_eq!((found.state.jump_ticks, found.state.bump_cooldown_victim), (12, Some(2)));
    assert_eq!([found.state.boost, found.state.demo_respawn_timer], [33.3, 2.5]);
    assert_eq!((found.on_ground, found.wheels), (true, [true, false, true, true]));
    assert_eq!((found.touch_tick, found.pad, found.place), (Some(480), Some(33), 1));
}
