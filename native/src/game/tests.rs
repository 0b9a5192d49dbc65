use super::*;

const RIGHT_ANGLE: f32 = std::f32::consts::FRAC_PI_2;

fn flying(pos: [f32; 3], vel: [f32; 3]) -> PhysState {
    PhysState { pos: Vec3A::from_array(pos), vel: Vec3A::from_array(vel), ..BallState::DEFAULT.phys }
}

#[test]
fn a_state_is_refused_with_the_reason() {
    let cases = [
        ([0.0, 0.0, 93.0], [0.0; 3], None),
        ([0.0, f32::NAN, 93.0], [0.0; 3], Some("is not finite")),
        ([0.0, 0.0, 93.0], [f32::INFINITY, 0.0, 0.0], Some("is not finite")),
        ([0.0, 6201.0, 93.0], [0.0; 3], Some("is outside the field")),
        ([0.0, 0.0, -101.0], [0.0; 3], Some("is outside the field")),
        ([0.0, 0.0, 93.0], [0.0, 0.0, 2e6], Some("is faster than the game allows")),
    ];
    for (pos, vel, reason) in cases {
        assert_eq!(refusal(&flying(pos, vel)), reason, "{pos:?} {vel:?}");
    }
}

#[test]
fn the_first_refused_body_is_named() {
    let (good, bad) = (flying([0.0; 3], [0.0; 3]), flying([0.0, 9000.0, 0.0], [0.0; 3]));
    assert_eq!(check(&good, [good, good].iter()), Ok(()));
    assert_eq!(check(&bad, [bad].iter()), Err("the ball is outside the field".into()));
    assert_eq!(check(&good, [good, bad].iter()), Err("car 1 is outside the field".into()));
}

#[test]
fn a_game_is_sound_while_everything_is_finite_and_near() {
    assert!(sound(&flying([0.0, 0.0, 19_999.0], [1e9, 0.0, 0.0])));
    assert!(!sound(&flying([0.0, 0.0, -20_001.0], [0.0; 3])));
    for i in 0..3 {
        let mut pos = [0.0; 3];
        pos[i] = f32::NAN;
        assert!(!sound(&flying(pos, [0.0; 3])), "{pos:?}");
    }
    assert!(!sound(&flying([0.0; 3], [0.0, f32::NAN, 0.0])));
}

#[test]
fn controls_are_clipped_and_buttons_are_pressed_above_zero() {
    let found = controls(&[2.0, -3.0, 0.5, -0.5, 0.0, 0.1, 0.0, -1.0]);
    assert_eq!([found.throttle, found.steer, found.pitch, found.yaw, found.roll], [1.0, -1.0, 0.5, -0.5, 0.0]);
    assert_eq!([found.jump, found.boost, found.handbrake], [true, false, false]);
}

#[test]
fn angles_turn_the_axes_of_a_car() {
    // (yaw, pitch, roll), then forward and up
    let cases = [
        ([0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]),
        ([RIGHT_ANGLE, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]),
        ([0.0, RIGHT_ANGLE, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]),
        ([0.0, 0.0, 2.0 * RIGHT_ANGLE], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]),
    ];
    for ([yaw, pitch, roll], forward, up) in cases {
        let found = rotation(yaw, pitch, roll);
        assert!(found.x_axis.abs_diff_eq(Vec3A::from_array(forward), 1e-6), "{found:?}");
        assert!(found.z_axis.abs_diff_eq(Vec3A::from_array(up), 1e-6), "{found:?}");
    }
}

#[test]
fn a_car_starts_without_a_flip_and_with_its_boost() {
    let row = [1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 4.0, 5.0, 6.0, 0.7, 0.8, 0.9, 33.0];
    let core = start(&row);
    assert_eq!(core.phys.pos.to_array(), [1.0, 2.0, 3.0]);
    assert_eq!(core.phys.vel.to_array(), [4.0, 5.0, 6.0]);
    assert_eq!(core.phys.ang_vel.to_array(), [0.7, 0.8, 0.9]);
    assert_eq!((core.boost, core.flip_time), (33.0, 10.0));
}

#[test]
fn the_digest_is_fnv_1a() {
    assert_eq!(digest(&[]), 0xcbf2_9ce4_8422_2325);
    assert_eq!(digest(&[&[1.0]]), 0x4b72_477f_9c5c_2f98);
    assert_ne!(digest(&[&[0.0]]), digest(&[&[-0.0]]));
}

#[test]
fn a_ball_enters_the_goal_that_it_reaches_in_two_seconds() {
    let at_orange = flying([0.0, 0.0, 600.0], [0.0, 3000.0, 0.0]); // there in 1.71 s, below the bar
    assert_eq!(entering(&at_orange), Some(true));
    assert_eq!(entering(&flying([0.0, 0.0, 600.0], [0.0, -3000.0, 0.0])), Some(false));
    assert_eq!(entering(&flying([0.0, 0.0, 600.0], [0.0, 2500.0, 0.0])), None); // 2.05 s
    assert_eq!(entering(&flying([0.0, 0.0, 600.0], [600.0, 3000.0, 0.0])), None); // 1,025 uu beside the middle
    assert_eq!(entering(&flying([0.0, 4000.0, 600.0], [0.0, 3000.0, 500.0])), None); // over the bar, at 742 uu
    assert_eq!(entering(&flying([0.0, 0.0, 600.0], [0.0, 0.0, 0.0])), None);
}
