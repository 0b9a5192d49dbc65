"""Converts packets to rows of numbers and back, for the recorded play that the self-test repeats."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The columns of a car's row.
CAR_COLUMNS = (
    "player_id", "team", "x", "y", "z", "pitch", "yaw", "roll", "vx", "vy", "vz", "wx", "wy", "wz", "boost",
    "air_state", "dodge_timeout", "demolished_timeout", "is_supersonic", "has_jumped", "has_double_jumped",
    "has_dodged", "dodge_elapsed",
    "throttle", "steer", "pitch_input", "yaw_input", "roll_input", "jump", "boost_input", "handbrake",
)  # fmt: skip
BALL_COLUMNS = ("x", "y", "z", "vx", "vy", "vz", "wx", "wy", "wz")


class Plain:
    """Replaces `rlbot.flat` if that is not installed: every type is a plain object with the same attributes."""

    def __getattr__(self, name: str) -> Any:
        return lambda *values, **named: SimpleNamespace(**named) if named else (values[0] if values else None)


def packet(
    flat: Any,
    frame: int,
    phase: int,
    ball: NDArray[np.float32] | None,
    pads: NDArray[np.float32],
    cars: NDArray[np.float32],
) -> Any:
    """Returns a GamePacket: `ball` (9,) or None, `pads` (34, 2) is_active and timer, `cars` (P, 31) as named above.

    `flat`: RLBot's module of that name, or `Plain()`.
    """
    return flat.GamePacket(
        players=[_player(flat, row) for row in cars.tolist() if row[1] >= 0],  # team -1: a slot without a car
        boost_pads=[flat.BoostPadState(is_active=active > 0, timer=timer) for active, timer in pads.tolist()],
        balls=[] if ball is None else [_ball(flat, ball.tolist())],
        match_info=flat.MatchInfo(
            match_phase=flat.MatchPhase(phase), frame_num=frame, world_gravity_z=-650.0, game_speed=1.0
        ),
    )


def field_info(flat: Any, pads: list[tuple[float, float, float]]) -> Any:
    """Returns a FieldInfo with pads at (x, y) with a cooldown in s, in this order."""
    return flat.FieldInfo(
        boost_pads=[
            flat.BoostPad(location=flat.Vector3(x=x, y=y, z=70.0), is_full_boost=cooldown > 5)
            for x, y, cooldown in pads
        ]
    )


def _ball(flat: Any, row: list[float]) -> Any:
    physics = _physics(flat, row[0:3], [0.0, 0.0, 0.0], row[3:6], row[6:9])
    return flat.BallInfo(physics=physics, shape=flat.SphereShape(diameter=182.5))


def _player(flat: Any, row: list[float]) -> Any:
    value = dict(zip(CAR_COLUMNS, row, strict=True))
    return flat.PlayerInfo(
        physics=_physics(flat, row[2:5], row[5:8], row[8:11], row[11:14]),
        air_state=flat.AirState(int(value["air_state"])),
        dodge_timeout=value["dodge_timeout"],
        demolished_timeout=value["demolished_timeout"],
        is_supersonic=value["is_supersonic"] > 0,
        is_bot=True,
        name=f"car {int(value['player_id'])}",
        team=int(value["team"]),
        boost=value["boost"],
        player_id=int(value["player_id"]),
        last_input=controller(flat, row[-8:]),
        has_jumped=value["has_jumped"] > 0,
        has_double_jumped=value["has_double_jumped"] > 0,
        has_dodged=value["has_dodged"] > 0,
        dodge_elapsed=value["dodge_elapsed"],
    )


def controller(flat: Any, row: list[float]) -> Any:
    """Returns a ControllerState of eight controls."""
    throttle, steer, pitch, yaw, roll, jump, boost, handbrake = row
    return flat.ControllerState(
        throttle=throttle, steer=steer, pitch=pitch, yaw=yaw, roll=roll,
        jump=jump > 0, boost=boost > 0, handbrake=handbrake > 0,
    )  # fmt: skip


def _physics(flat: Any, place: list[float], turn: list[float], speed: list[float], spin: list[float]) -> Any:
    def vector(row: list[float]) -> Any:
        return flat.Vector3(x=row[0], y=row[1], z=row[2])

    return flat.Physics(
        location=vector(place),
        rotation=flat.Rotator(pitch=turn[0], yaw=turn[1], roll=turn[2]),
        velocity=vector(speed),
        angular_velocity=vector(spin),
    )
