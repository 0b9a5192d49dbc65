"""Trains Rocket League bots: simulation, environment, rewards, learner, curriculum, configured with Hydra."""
