"""Players from elsewhere, which act from the state of the arenas instead of this project's observation.

Such a player is any object with

    act(state, cars) -> controls (len(cars), 8)

`state` is the rlbot.sim.State of a batch of arenas, `cars` (Cars) says which cars are asked for. Nexto and Necto are
built in: their weights are read from a file of the user's own.
"""

from rlbot.bots.cars import Cars, asked
from rlbot.bots.nexto import Necto, Nexto
from rlbot.bots.state_bot import StateBot, by_name, pace_note

__all__ = ["Cars", "Necto", "Nexto", "StateBot", "asked", "by_name", "pace_note"]
