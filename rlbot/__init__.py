"""Trains Rocket League bots: simulation, environment, rewards, learner, curriculum, configured with Hydra."""

import os

# Read by OpenMP when PyTorch loads. Threads that spin while they wait take the cores from the processes that play: with
# a busy core the update was measured 5 to 10 times as slow. Whoever sets it otherwise is heard.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Heard by processes that are started from now on, where memory comes from glibc: it asks for huge pages, with which a
# step of an arena and an update take 2 to 4% less.
os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
