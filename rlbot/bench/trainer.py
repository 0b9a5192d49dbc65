"""Rollouts and training as in `python -m rlbot.train`, in a process of its own."""

from time import perf_counter

from rlbot.bench.matmuls import Products
from rlbot.settings.schema import TrainConfig
from rlbot.training import loop
from rlbot.training.build import build, with_overlap
from rlbot.training.nan_guard import NanGuard
from rlbot.training.report import Silent

_NEVER = 10**15  # timesteps
OPPONENTS = 4  # frozen versions in the batch


class Trainer:
    """Measures rollouts with an unchanged policy ("collect": self-play, in stage 0; "opponents": in stage 1, where
    every arena has one of four frozen opponents), iterations of the training loop ("train"), updates from one rollout
    ("learn") and their matrix products alone ("products").

    Agent steps count all cars, also the opponents, from which nothing is learned.
    """

    def __init__(self, config: TrainConfig, stage: int = 0) -> None:
        self._config = config = with_overlap(config)
        self._parts = build(config, print)
        self._parts.publish()
        for version in range(OPPONENTS):
            self._parts.pool.add(version, self._parts.publish())
        self._collector = self._parts.make_collector(stage)
        # The loop closes its collector when it returns, but these workers are needed in the next turn.
        self._collector.close = lambda: None  # type: ignore[method-assign]

    def play(self, what: str, seconds: float) -> tuple[int, float]:
        """Whole rollouts or iterations until `seconds` have passed; returns agent steps and the seconds they took."""
        turns = {"train": self._train, "learn": self._learn, "products": self._multiply}
        return turns.get(what, self._collect)(seconds)

    def _collect(self, seconds: float) -> tuple[int, float]:
        steps, began = 0, perf_counter()
        while not steps or perf_counter() - began < seconds:
            rollout, _ = self._collector.collect()
            steps += rollout.num_steps * self._collector.num_cars
        return steps, perf_counter() - began

    def _learn(self, seconds: float) -> tuple[int, float]:
        rollout, _ = self._collector.collect()
        steps, began = 0, perf_counter()
        while not steps or perf_counter() - began < seconds:
            self._parts.ppo.update(rollout)
            self._parts.hardware.synchronize()
            steps += rollout.num_steps * rollout.num_agents
        return steps, perf_counter() - began

    def _multiply(self, seconds: float) -> tuple[int, float]:
        learner, components = self._config.learner, self._parts
        products = Products(components.model, components.hardware, learner.minibatch_size, learner.epochs)
        return products.play(learner.batch_size, seconds)

    def _train(self, seconds: float) -> tuple[int, float]:
        learner, overlap = self._config.learner, bool(self._config.learner.overlap)
        if overlap:  # the rollout that an earlier iteration would have started
            self._collector.begin()
            self._collector.wait()
        progress = loop.Progress(stage=0)
        began = perf_counter()
        loop.train(
            ppo=self._parts.ppo,
            pool=self._parts.pool,
            stages=self._parts.stages,
            make_collector=self._parts.make_collector,
            publish=self._parts.publish,
            schedule=loop.Schedule(_NEVER, _NEVER, learner.learning_rate, False, overlap),
            start=(progress, self._collector),
            reporter=Silent(),
            save=lambda progress, collector: None,
            nan_guard=NanGuard(None, learner.max_bad_updates, print),
            orders=lambda done: loop.Orders(done.iterations > 0 and perf_counter() - began >= seconds),
        )
        self._collector.wait()
        took = perf_counter() - began
        if overlap:
            self._collector.collect()  # started by the last iteration; not part of the next turn
        return progress.timesteps, took
