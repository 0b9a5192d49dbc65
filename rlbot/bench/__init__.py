"""How fast everything is, measured side by side in one run: `python -m rlbot.bench`.

Contestants take turns on the same arenas, the same controls and the same kind of situations:
raw      bare RocketSim: set premade controls, step. What nothing in Python can beat.
env      BatchEnv.step with random controls: state, reward, ending, reset and observation on top of raw.
collect  the policy acting and its experience being stored.
train    collecting and the PPO updates: what `python -m rlbot.train` does.
learn    the updates alone.
products the matrix products of the updates alone: what no update can beat.
rlgym    an RLGym v2 environment, where bench.peer asks for it.
rlgym_learn  rlgym-learn training in it, where bench.peer=rlgym_learn asks for it; on all cores only.
"""
