"""The calls into RocketSim's binding that a step is made of, made by compiled code.

Called from Python, the loops around them and the conversion of what they give took as long as the calls. NumPy arrays
in particular: Numba takes 0.1 us to make one known to compiled code, and an arena gives five to seven. So this is
written like an extension in C, against Python's stable interface: objects are addresses, 0 is an exception, and what a
call gives is to be released. Where a call fails that never does, compiled code returns at once, and Python raises.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from rlbot.sim.state import GYM_ARENA, GYM_BALL, GYM_CAR, PADS


def _python(name: str, result: Any, *arguments: Any) -> Any:
    """A function of Python's C interface, for compiled code."""
    return types.ExternalFunction(name, result(*arguments))


_Object, _Count = types.intp, types.intp
_call = _python("PyObject_CallNoArgs", _Object, _Object)
_call_with = _python("PyObject_CallObject", _Object, _Object, _Object)  # with a tuple of arguments
_attribute = _python("PyObject_GetAttr", _Object, _Object, _Object)
_item = _python("PyTuple_GetItem", _Object, _Object, _Count)  # nothing to release
_known = _python("PyDict_GetItem", _Object, _Object, _Object)  # nothing to release, 0 for none
_bytes = _python("PyBytes_FromStringAndSize", _Object, types.intp, _Count)
_as_float = _python("PyFloat_AsDouble", types.float64, _Object)
_release = _python("Py_DecRef", types.void, _Object)
_forget_exception = _python("PyErr_Clear", types.void)
_NUMBERS = object.__basicsize__  # where an array holds the address of its numbers: right behind the head of any object

_INFO, _PADS, _BALL, _CARS = 0, 1, 2, 3  # where they are in what get_gym_state() gives
_SHAPES = ((GYM_ARENA,), (2, PADS), (2, GYM_BALL), (2, GYM_CAR))
_BALL_AT, _PADS_AT = GYM_ARENA, GYM_ARENA + GYM_BALL  # in an arena's row
_FLIP_TIME = 1.25  # s after a jump in which a second jump or a flip is possible: RocketSim's DOUBLEJUMP_MAX_DELAY

# What decides a car's next jump and its grip, and get_gym_state() does not tell.
_MORE = ("has_jumped", "has_double_jumped", "has_flipped", "is_supersonic", "air_time_since_jump", "handbrake_val")
MORE = np.array([id(name) for name in _MORE])


class Methods:
    """Bound methods, which are kept alive, and their addresses."""

    def __init__(self, count: int) -> None:
        self._kept: list[Any] = [None] * count
        self.addresses = np.zeros(count, np.intp)

    def __setitem__(self, where: slice, methods: Sequence[Any]) -> None:
        self._kept[where] = methods
        self.addresses[where] = [id(method) for method in methods]

    def __getitem__(self, where: slice) -> list[Any]:
        return self._kept[where]


def check(gym: tuple[Any, ...], reals: Sequence[Any]) -> None:
    """Raise RuntimeError where get_gym_state() or a car's get_state() gives something else than `read` expects: another
    RocketSim. Compiled code would read what is not there."""
    shapes = (*_SHAPES[:_CARS], *_SHAPES[_CARS:] * (len(gym) - _CARS))
    for array, shape in zip(gym, shapes, strict=True):
        if array.shape != shape or array.dtype != np.float32 or not array.flags.f_contiguous:
            raise RuntimeError(f"RocketSim's get_gym_state() gives {array.dtype} {array.shape}, not float32 {shape}")
    missing = [name for name in _MORE if not all(hasattr(real, name) for real in reals)]
    if missing:
        raise RuntimeError(f"RocketSim's get_state() gives no {', '.join(missing)}")


@njit(cache=True)
def apply(controls, set_controls, known):  # type: ignore[no-untyped-def]
    """Call these methods (C,) with the tuple that the dict at `known` has for the bytes of their rows of `controls` (C,
    8); returns how many were called before the first for which it has nothing."""
    row_bytes = controls.shape[1] * controls.itemsize
    for c in range(len(controls)):
        key = _bytes(controls.ctypes.data + c * row_bytes, row_bytes)
        made = _known(known, key)
        _release(key)
        if made == 0:
            return c
        done = _call_with(set_controls[c], made)
        if done == 0:
            return c
        _release(done)
    return len(controls)


@njit(cache=True)
def step(steps, ticks):  # type: ignore[no-untyped-def]
    """Call these methods with the tuple at `ticks`."""
    for n in range(len(steps)):
        done = _call_with(steps[n], ticks)
        if done == 0:
            return
        _release(done)


@intrinsic
def _pointer(context, address, kind):  # type: ignore[no-untyped-def]
    """To the numbers of this kind at `address`."""
    pointer = types.CPointer(kind.instance_type)  # type: ignore[no-untyped-call]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.intp, kind), generate


@njit(cache=True)
def _numbers(gym, item):  # type: ignore[no-untyped-def]
    where: Any = _pointer(_item(gym, item) + _NUMBERS, np.intp)  # type: ignore[call-arg]
    return _pointer(where[0], np.float32)


@njit(cache=True)
def _number(thing, name):  # type: ignore[no-untyped-def]
    value = _attribute(thing, name)
    number = _as_float(value)
    _release(value)
    return np.float32(number)


@njit(cache=True)
def _take(gym, arena, cars, slots):  # type: ignore[no-untyped-def]
    """Copy what get_gym_state() gave into rows of a state. Of two rows, which lie in turns, row 0 is blue's frame."""
    info, pads, ball = _numbers(gym, _INFO), _numbers(gym, _PADS), _numbers(gym, _BALL)
    for i in range(GYM_ARENA):
        arena[i] = info[i]
    for i in range(GYM_BALL):
        arena[_BALL_AT + i] = ball[2 * i]
    for i in range(PADS):
        arena[_PADS_AT + i] = pads[2 * i]
    for c in range(len(slots)):
        car = _numbers(gym, _CARS + c)
        for i in range(GYM_CAR):
            cars[slots[c], i] = car[2 * i]


@njit(cache=True)
def _take_more(real, car, more):  # type: ignore[no-untyped-def]
    """Copy what car.get_state() gave into a car of a state."""
    car.has_jumped, car.has_double_jumped = _number(real, more[0]), _number(real, more[1])
    car.has_flipped, car.is_supersonic = _number(real, more[2]), _number(real, more[3])
    car.air_time_since_jump, car.handbrake = _number(real, more[4]), _number(real, more[5])
    spent = car.has_double_jumped > 0 or car.has_flipped > 0 or car.air_time_since_jump >= _FLIP_TIME
    car.has_flip = 1.0 if car.on_ground > 0 or not spent else 0.0
    car.demo_timer = 0.0  # of those that are demolished it is read by itself


@njit(cache=True)
def read(start, stop, gyms, reals, first_car, slots, more, arena_rows, car_rows, cars, broken):  # type: ignore[no-untyped-def]
    """Copy arenas [start, stop) into a state, the pads' timers aside; returns how many RocketSim refused to show, which
    are listed in `broken`: there is NaN in them.

    `gyms` (N,) and `reals` (C,): the methods get_gym_state of the arenas and get_state of the cars, which are alive
    and passed `check`; the cars of arena n are [first_car[n], first_car[n + 1]), in these `slots` (C,); `more`: MORE.
    """
    count = 0
    for n in range(start, stop):
        here = slice(first_car[n], first_car[n + 1])
        gym = _call(gyms[n])
        if gym == 0:
            _forget_exception()
            broken[count] = n
            count += 1
        else:
            _take(gym, arena_rows[n], car_rows[n], slots[here])
            _release(gym)
        for c in range(first_car[n], first_car[n + 1]):
            real = _call(reals[c])
            if real == 0:
                return count
            _take_more(real, cars[n, slots[c]], more)
            _release(real)
    return count
