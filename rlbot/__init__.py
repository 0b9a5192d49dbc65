"""Trains Rocket League bots: simulation, environment, rewards, learner, curriculum, configured with Hydra."""

import gymnasium

gymnasium.register(
    id="RocketSim-v0",
    entry_point="rlbot.env.soccar:RocketSimEnv",
    vector_entry_point="rlbot.env.vector:RocketSimVectorEnv",
)
