//! The columns of the rows of `rlbot.sim.State`. Python compares them with its own records.

pub const PADS: usize = 34;
pub const ARENA_WIDTH: usize = 97;
pub const CAR_WIDTH: usize = 45;

/// Columns of an arena's row.
pub mod arena {
    pub const LAST_TOUCH_ID: usize = 1;
    pub const BLUE_SCORE: usize = 2;
    pub const ORANGE_SCORE: usize = 3;
    pub const BALL_POS: usize = 4;
    pub const BALL_VEL: usize = 11;
    pub const BALL_ANG_VEL: usize = 14;
    pub const BALL_FORWARD: usize = 17;
    pub const BALL_RIGHT: usize = 20;
    pub const BALL_UP: usize = 23;
    pub const PAD_ACTIVE: usize = 29;
    pub const PAD_TIMER: usize = 63;

    pub const NAMED: [(&str, usize); 11] = [
        ("last_touch_id", LAST_TOUCH_ID),
        ("blue_score", BLUE_SCORE),
        ("orange_score", ORANGE_SCORE),
        ("ball_pos", BALL_POS),
        ("ball_vel", BALL_VEL),
        ("ball_ang_vel", BALL_ANG_VEL),
        ("ball_forward", BALL_FORWARD),
        ("ball_right", BALL_RIGHT),
        ("ball_up", BALL_UP),
        ("pad_active", PAD_ACTIVE),
        ("pad_timer", PAD_TIMER),
    ];
}

/// Columns of a car's row. The columns after HANDBRAKE are not written here.
pub mod car {
    pub const ID: usize = 0;
    pub const TEAM: usize = 1;
    pub const GOALS: usize = 2;
    pub const SAVES: usize = 3;
    pub const SHOTS: usize = 4;
    pub const DEMOS: usize = 5;
    pub const BOOST_PICKUPS: usize = 6;
    pub const IS_DEMOED: usize = 7;
    pub const ON_GROUND: usize = 8;
    pub const TOUCHED: usize = 9;
    pub const BOOST: usize = 10;
    pub const POS: usize = 11;
    pub const VEL: usize = 18;
    pub const ANG_VEL: usize = 21;
    pub const FORWARD: usize = 24;
    pub const RIGHT: usize = 27;
    pub const UP: usize = 30;
    pub const HAS_FLIP: usize = 36;
    pub const HAS_JUMPED: usize = 37;
    pub const HAS_DOUBLE_JUMPED: usize = 38;
    pub const HAS_FLIPPED: usize = 39;
    pub const AIR_TIME_SINCE_JUMP: usize = 40;
    pub const IS_SUPERSONIC: usize = 41;
    pub const DEMO_TIMER: usize = 42;
    pub const HANDBRAKE: usize = 43;

    pub const NAMED: [(&str, usize); 25] = [
        ("id", ID),
        ("team", TEAM),
        ("goals", GOALS),
        ("saves", SAVES),
        ("shots", SHOTS),
        ("demos", DEMOS),
        ("boost_pickups", BOOST_PICKUPS),
        ("is_demoed", IS_DEMOED),
        ("on_ground", ON_GROUND),
        ("touched", TOUCHED),
        ("boost", BOOST),
        ("pos", POS),
        ("vel", VEL),
        ("ang_vel", ANG_VEL),
        ("forward", FORWARD),
        ("right", RIGHT),
        ("up", UP),
        ("has_flip", HAS_FLIP),
        ("has_jumped", HAS_JUMPED),
        ("has_double_jumped", HAS_DOUBLE_JUMPED),
        ("has_flipped", HAS_FLIPPED),
        ("air_time_since_jump", AIR_TIME_SINCE_JUMP),
        ("is_supersonic", IS_SUPERSONIC),
        ("demo_timer", DEMO_TIMER),
        ("handbrake", HANDBRAKE),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_ascend_within_the_row() {
        for (named, width) in [(arena::NAMED.as_slice(), ARENA_WIDTH), (car::NAMED.as_slice(), CAR_WIDTH)] {
            assert!(named.is_sorted_by(|(_, a), (_, b)| a < b));
            assert!(named.last().is_some_and(|&(_, at)| at < width));
        }
        assert_eq!(arena::PAD_TIMER + PADS, ARENA_WIDTH);
        assert_eq!(arena::PAD_ACTIVE + PADS, arena::PAD_TIMER);
    }
}
