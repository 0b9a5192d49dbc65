"""Events of a match, found by comparing each state with the one before."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlbot.reward.flight import headed
from rlbot.sim import BLUE, PAD_POSITION, State

KINDS = ("goal", "shot", "save", "touch", "demolition", "pad")
_NEVER = -1


class Event(NamedTuple):
    """Something that happened. `kind`: one of KINDS. `team`: 0 blue, 1 orange.

    `slot`: the car that did it (for a goal: the last car of the scoring team that touched the ball), or None if no car
    did, as in an own goal. `other`: for "demolition" the slot of the demolished car, for "pad" the number of the pad.
    """

    tick: int
    kind: str
    team: int
    slot: int | None = None
    other: int | None = None


def find_events(states: State, ticks: NDArray[np.int32]) -> list[Event]:
    """Returns the goals, shots, saves, touches, demolitions and pad pickups in T frames, in the order of time.

    `states`: frame t as arena t; `ticks` (T,). Two frames of the same tick are the end of an episode and the start of
    the next one: no event is found between them. An event has the tick of the first frame that shows it. A touch that
    lasts several frames is one event.
    """
    steps = np.flatnonzero(np.diff(ticks) > 0)
    events = [*_touches(states, ticks, steps), *_demolitions(states, ticks, steps), *_pads(states, ticks, steps)]
    events += [*_goals(states, ticks, steps), *_shots_and_saves(states, ticks, steps)]
    return sorted(events, key=lambda event: (event.tick, KINDS.index(event.kind)))


def _touches(states: State, ticks: NDArray[np.int32], steps: NDArray[np.int64]) -> Iterator[Event]:
    began, teams = (states.car_touched[steps + 1] > 0) & ~(states.car_touched[steps] > 0), states.team_of_slot()
    for t, slot in np.argwhere(began).tolist():
        yield Event(int(ticks[steps[t] + 1]), "touch", int(teams[slot]), slot)


def _goals(states: State, ticks: NDArray[np.int32], steps: NDArray[np.int64]) -> Iterator[Event]:
    last = np.full(states.present.shape, _NEVER)  # the frame of each car's last touch
    touched = np.where(states.car_touched > 0, np.arange(len(ticks))[:, None], _NEVER)
    np.maximum.accumulate(touched, axis=0, out=last)
    began = np.zeros(len(ticks), np.int64)  # the first frame of the episode
    began[1:] = np.maximum.accumulate(np.where(np.diff(ticks) == 0, np.arange(1, len(ticks)), 0))
    for team, score in enumerate((states.blue_score, states.orange_score)):
        for t in (steps[score[steps + 1] > score[steps]] + 1).tolist():
            mates = np.flatnonzero(team == states.team_of_slot())
            scorer = int(mates[last[t, mates].argmax()])
            yield Event(int(ticks[t]), "goal", team, scorer if last[t, scorer] >= began[t] else None)


def _shots_and_saves(states: State, ticks: NDArray[np.int32], steps: NDArray[np.int64]) -> Iterator[Event]:
    """By the definitions of rlbot.env.counts: after a shot the ball is headed into the opponents' goal, and was not
    before; before a save it was headed into the own goal, and is not after."""
    teams = states.team_of_slot()
    for t in steps[(states.car_touched[steps + 1] > 0).any(1)].tolist():
        before, after = headed(states.arenas[t], states.arenas[t + 1])
        for slot in np.flatnonzero(states.car_touched[t + 1] > 0).tolist():
            team = int(teams[slot])
            attacked = 1 if team == BLUE else -1
            if after == attacked != before:
                yield Event(int(ticks[t + 1]), "shot", team, slot)
            if before == -attacked != after:
                yield Event(int(ticks[t + 1]), "save", team, slot)


def _demolitions(states: State, ticks: NDArray[np.int32], steps: NDArray[np.int64]) -> Iterator[Event]:
    fell, teams = (states.car_is_demoed[steps + 1] > 0) & (states.car_is_demoed[steps] == 0), states.team_of_slot()
    for t, victim in np.argwhere(fell).tolist():
        before, after = steps[t], steps[t] + 1
        gained = states.car_demos[after] > states.car_demos[before]
        rivals = np.flatnonzero(gained & (teams[victim] != teams))
        distance = np.linalg.norm(states.car_pos[after, rivals] - states.car_pos[after, victim], axis=-1)
        by = int(rivals[np.argmin(distance)]) if len(rivals) else None
        yield Event(int(ticks[after]), "demolition", 1 - int(teams[victim]), by, victim)


def _pads(states: State, ticks: NDArray[np.int32], steps: NDArray[np.int64]) -> Iterator[Event]:
    taken, teams = states.pad_timer[steps + 1] > states.pad_timer[steps], states.team_of_slot()
    for t, pad in np.argwhere(taken).tolist():
        after = steps[t] + 1
        alive = (states.present[after] > 0) & (states.car_is_demoed[after] == 0)
        distance = np.linalg.norm(states.car_pos[after, :, :2] - PAD_POSITION[pad], axis=-1)
        slot = int(np.argmin(np.where(alive, distance, np.inf)))
        yield Event(int(ticks[after]), "pad", int(teams[slot]), slot, pad)
