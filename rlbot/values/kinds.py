"""The types of numbers in the settings and in the arguments of environments."""

from typing import Annotated

from rlbot.values.convert import Range

Count = Annotated[int, Range(1)]
Natural = Annotated[int, Range(0)]
Number = Annotated[float, Range(-1e15)]
Positive = Annotated[float, Range(0, above=True)]
NonNegative = Annotated[float, Range(0)]
Fraction = Annotated[float, Range(0, 1)]
TickSkip = Annotated[int, Range(1, 120)]
TeamSize = Annotated[int, Range(1, 3)]
