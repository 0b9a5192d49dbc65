"""What RocketSim knows of a car beyond `State`: RLGym's states have it. Read only where it is asked for."""

import numpy as np

DETAILS = np.dtype(
    [
        ("wheels", "?", (4,)),  # which touch something: front left, front right, back left, back right
        ("supersonic_time", np.float32),  # s since the car became supersonic, 0 if it is not
        ("boosting_time", np.float32),  # s since it began to boost, 0 if it does not
        ("is_jumping", "?"),  # a jump lasts up to 0.2 s, while the button is held
        ("holds_jump", "?"),  # the button was pressed in the last tick
        ("jump_time", np.float32),  # s since the last jump began, at most 0.2
        ("flip_time", np.float32),  # s since the flip began
        ("flip_torque", np.float32, (3,)),
        ("is_auto_flipping", "?"),  # a car on its roof is being turned
        ("auto_flip_timer", np.float32),  # s until that ends
        ("auto_flip_direction", np.float32),
        ("bumped", np.int64),  # the car (index into C) that it ran into less than 0.25 s ago, or -1
        ("touches", np.int64),  # ticks of the last step in which it touched the ball
    ]
)
NO_CAR = -1
