"""Tracks the state of the game over packets, because an observation needs more than the last packet contains.

A packet does not say whether a car's wheels touch the ground while it jumps, how long ago a jump ended, how far the
handbrake is pulled, and when a boost pad will be back.
"""

from typing import Any

from .geometry import TICK, Vector, before, directions, on_ground

ON_GROUND, JUMPING = 0, 1  # RLBot's AirState, which goes on with DoubleJumping, Dodging, InAir
IN_AIR = 4
FLIP_WINDOW = 1.25  # s after a jump in which a second jump or a flip is possible
HANDBRAKE_RISE, HANDBRAKE_FALL = 5.0, 2.0  # per second
CENTRE: Vector = (0.0, 0.0, 92.75)
ZERO: Vector = (0.0, 0.0, 0.0)
PAD_TOLERANCE = 10.0  # uu; pads are at least 1000 uu apart


class Car:
    """One car, in the units of the game."""

    def __init__(self, player: Any) -> None:
        self.team = int(player.team)
        self._air_state = int(player.air_state)
        self.on_ground = self._air_state == ON_GROUND
        self.is_demoed, self.demo_timer = False, 0.0
        self.air_time_since_jump = 0.0  # s since the jump ended
        if player.has_jumped and self._air_state not in (ON_GROUND, JUMPING):  # the jump ended before this packet
            self.air_time_since_jump = FLIP_WINDOW - min(max(player.dodge_timeout, 0.0), FLIP_WINDOW)
        self.handbrake = 0.0  # 0 to 1, changes gradually
        self.update(player, 0)

    def update(self, player: Any, ticks: int) -> None:
        """Updates the car from a packet's player, `ticks` after the packet before."""
        demoed = player.demolished_timeout >= 0  # -1: not demolished
        if demoed and self.is_demoed:
            self.demo_timer = float(player.demolished_timeout)
            return  # as in training, where a demolished car keeps its last state
        self._track_handbrake(player, ticks)
        self._read(player)
        air_state = int(player.air_state)
        self._track_air_time(air_state, ticks)
        if not demoed:
            self.on_ground = self._is_on_ground(air_state)
        spent = self.has_double_jumped or self.has_flipped or self.air_time_since_jump >= FLIP_WINDOW
        self.has_flip = self.on_ground or not spent
        self.is_demoed, self.demo_timer = demoed, float(max(player.demolished_timeout, 0.0))

    def _read(self, player: Any) -> None:
        physics = player.physics
        place, speed, spin, turn = physics.location, physics.velocity, physics.angular_velocity, physics.rotation
        self.pos: Vector = (place.x, place.y, place.z)
        self.vel: Vector = (speed.x, speed.y, speed.z)
        self.ang_vel: Vector = (spin.x, spin.y, spin.z)
        self.forward, self.right, self.up = directions(turn.pitch, turn.yaw, turn.roll)
        self.boost = float(player.boost)
        self.has_jumped = bool(player.has_jumped)
        self.has_double_jumped = bool(player.has_double_jumped)
        self.has_flipped = bool(player.has_dodged)
        self.is_supersonic = bool(player.is_supersonic)

    def _track_handbrake(self, player: Any, ticks: int) -> None:
        if self.is_demoed:  # it has just respawned
            self.handbrake = 0.0
            return
        rate = HANDBRAKE_RISE if player.last_input.handbrake else -HANDBRAKE_FALL
        self.handbrake = min(max(self.handbrake + rate * ticks * TICK, 0.0), 1.0)

    def _track_air_time(self, air_state: int, ticks: int) -> None:
        """Counts the time since the jump. dodge_timeout does not serve: in some implementations of RLBot it includes
        the time for which jump was held, in others not."""
        took_off = self._air_state == JUMPING and air_state != ON_GROUND
        self._air_state = air_state
        if not self.has_jumped or air_state == JUMPING or (self.on_ground and not took_off):
            self.air_time_since_jump = 0.0
        else:
            self.air_time_since_jump += ticks * TICK

    def _is_on_ground(self, air_state: int) -> bool:
        """Returns whether three wheels touch the ground. A packet does not say this for a car that jumps or dodges.

        The physics checks the ground at the start of a tick, so one tick before the state in the packet.
        """
        if air_state in (ON_GROUND, IN_AIR):
            return air_state == ON_GROUND
        return on_ground(*before(self.pos, self.vel, self.ang_vel, self.forward, self.right, self.up))


class Tracker:
    """Cars by player id, ball and boost pads."""

    def __init__(self, pads: list[tuple[float, float, float]], field_pads: Any) -> None:
        """`pads`: x, y and cooldown in s of the pads of training; `field_pads`: those of the match's FieldInfo."""
        self.cars: dict[int, Car] = {}
        self.ball_pos, self.ball_vel, self.ball_ang_vel = CENTRE, ZERO, ZERO
        self.pad_timers = [0.0] * len(pads)  # s until a pad is back, 0 if it is active
        self.cooldowns = [cooldown for _, _, cooldown in pads]
        self._pad_of_packet = [_match(pads, pad.location.x, pad.location.y) for pad in field_pads]
        found = set(self._pad_of_packet)
        self.missing_pads = [(x, y) for i, (x, y, _) in enumerate(pads) if i not in found]

    def update(self, packet: Any, ticks: int) -> None:
        """Updates everything from a packet, `ticks` after the packet before."""
        known, self.cars = self.cars, {}
        for player in packet.players:  # in the packet's order
            car = known.get(player.player_id)
            if car is None or car.team != int(player.team):
                self.cars[player.player_id] = Car(player)
            else:
                car.update(player, ticks)
                self.cars[player.player_id] = car
        if packet.balls:  # otherwise the ball stays as it was
            physics = packet.balls[0].physics
            place, speed, spin = physics.location, physics.velocity, physics.angular_velocity
            self.ball_pos, self.ball_vel = (place.x, place.y, place.z), (speed.x, speed.y, speed.z)
            self.ball_ang_vel = (spin.x, spin.y, spin.z)
        for pad, i in zip(packet.boost_pads, self._pad_of_packet, strict=False):
            if i is not None:  # the packet has the time since the pickup
                self.pad_timers[i] = 0.0 if pad.is_active else max(self.cooldowns[i] - pad.timer, 0.0)

    def release_handbrakes(self) -> None:
        """Resets what a kickoff resets."""
        for car in self.cars.values():
            car.handbrake = 0.0


def _match(pads: list[tuple[float, float, float]], x: float, y: float) -> int | None:
    distances = [max(abs(x - px), abs(y - py)) for px, py, _ in pads]
    nearest = min(range(len(pads)), key=distances.__getitem__)
    return nearest if distances[nearest] <= PAD_TOLERANCE else None
