"""Measure the speed of each part, side by side in one run: `python -m rlbot.bench`.

These take turns, with the same arenas, controls and kinds of reset:
raw      bare RocketSim: set prepared controls, step. The upper limit for any Python program. That of v2 is what all
         others are compared with.
env      BatchEnv.step with these controls: raw plus state, reward, end of episode, reset and observation.
collect  rollouts: the policy acts, and its experience is stored.
train    rollouts and PPO updates, as in `python -m rlbot.train`.
learn    the updates alone.
products the matrix products of the updates alone: the upper limit for any update.
rlgym    an RLGym v2 environment, if bench.peer is set.
rlgym_learn  a training of rlgym-learn in it, if bench.peer=rlgym_learn; on all cores only.

raw, env, collect, train and learn play on both engines, if both are built and bench.both_engines is true.
"""
