"""Proximal policy optimization: an update takes one rollout, changes the weights and returns metrics."""

import copy
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlbot.collect.rollout import Rollout
from rlbot.env.nonfinite import NonFinite
from rlbot.hardware import Hardware
from rlbot.learner import diagnosis
from rlbot.learner.batch import Batch
from rlbot.learner.cuda_graph import CudaGraph, StepGraphs
from rlbot.learner.losses import approximate_kl, policy_loss, value_loss
from rlbot.learner.preparation import Preparation
from rlbot.learner.return_scale import ReturnScale
from rlbot.learner.sequences import Sequences
from rlbot.model.own import AnyModel

STEP_METRICS = (
    "loss/policy",
    "loss/value",
    "loss/total",
    "policy/entropy",
    "policy/kl",
    "policy/clip_fraction",
    "policy/ratio_max",
    "learner/gradient_norm",
    "learner/bad_updates",
)
TOTAL, KL, RATIO_MAX, BAD = 2, 4, 6, 8  # indices; the metrics before RATIO_MAX are means over rows
_NOT_CAPTURED = (RuntimeError, ValueError)  # ValueError: what a network of the user's own raises is turned into it
PARTS = ("loss/policy", "loss/value", "policy/entropy", "loss/total")  # searched for the cause of a non-finite loss


class PPO:
    """Updates `model` in place from rollouts.

    Numerically CleanRL's PPO, with these differences: a truncated row bootstraps from the value of its own
    final observation; values are recomputed after the rollout; advantages are standardised over the batch;
    minibatches are nearly equal parts of the batch, so that no row is left out of an epoch.

    overlap: rollouts come from an older policy than the one that learns. The clipped ratio is relative to the policy
    before the update, and each row is weighted by that policy's probability / the probability of the policy that acted.
    If the ratio were relative to the policy that acted, half of the clip range would be used up before the update
    begins. Hilton et al. (2022), "Batch size-invariance for policy optimization", the decoupled objective.

    An update makes `epochs` passes over round(rows / minibatch_size) minibatches (at least one). target_kl ends it
    after the first epoch whose mean KL exceeds it (None: never). clip_range_value=None: values are not clipped.
    All randomness (the order of rows) comes from its own generator, seeded with `seed`.

    A recurrent network learns by backpropagation through time over sequences of `sequence_length` steps of an agent, of
    which rollouts have whole ones. A sequence begins with the state that was stored, and an episode within it with
    zeros. Minibatches are whole sequences, of about minibatch_size rows together.

    If hardware.group has several ranks, each rank has the rollout of some agents, and all make the update of the whole
    batch together: minibatch_size counts the rows of all ranks, and losses, gradients and statistics are summed.

    On a GPU the gradient steps are CUDA graphs. With several ranks a step is two of them, between which the gradients
    are summed, and each rank's rows of a minibatch are filled up to a fixed number with rows of weight 0. If they
    cannot be captured, `warn` gets a line that says why, and each kernel is launched by itself.
    """

    def __init__(
        self,
        model: AnyModel,
        *,
        hardware: Hardware,
        minibatch_size: int,
        epochs: int,
        learning_rate: float,
        gamma: float,
        gae_lambda: float,
        clip_range: float,
        clip_range_value: float | None,
        entropy_coef: float,
        value_coef: float,
        max_grad_norm: float,
        target_kl: float | None,
        normalize_advantage: bool,
        normalize_return: bool,
        overlap: bool = False,
        sequence_length: int = 1,
        seed: int = 0,
        warn: Callable[[str], None] = print,
    ) -> None:
        assert minibatch_size > 0 and epochs > 0
        assert next(model.parameters()).device == hardware.device, "move the model to hardware.device first"
        if model.state_size and minibatch_size < sequence_length:
            raise ValueError(
                f"learner.minibatch_size={minibatch_size}: must be at least learner.sequence_length={sequence_length}, "
                "since the network is recurrent"
            )
        self.model = model
        self.hardware = hardware
        self.minibatch_size = minibatch_size
        self.epochs = epochs
        self.clip_range = clip_range
        self.clip_range_value = clip_range_value
        self.entropy_coef = entropy_coef
        self.value_coef = value_coef
        self.max_grad_norm = max_grad_norm
        self.target_kl = target_kl
        self.sequence_length = sequence_length if model.state_size else None
        self._length = self.sequence_length or 1  # rows of what a minibatch has several of
        self.return_scale = ReturnScale(gamma)
        self._prepare = Preparation(
            model,
            hardware,
            self.return_scale,
            gamma,
            gae_lambda,
            normalize_advantage,
            normalize_return,
            overlap,
            self.sequence_length,
        )
        self._named = dict(model.named_parameters())
        self._parameters = list(self._named.values())
        cuda = hardware.device.type == "cuda"
        self._optimizer = torch.optim.Adam(self._parameters, lr=learning_rate, eps=1e-5, fused=True, capturable=cuda)
        # What may change at every update: a graph reads it, as the learning rate, from the memory of the device.
        self._ramps: list[Any] = [clip_range, entropy_coef]
        if cuda:
            self._optimizer.param_groups[0]["lr"] = torch.tensor(learning_rate, device=hardware.device)
            self._ramps = [torch.tensor(each, device=hardware.device) for each in self._ramps]
        self._learning_rate = learning_rate
        self._scaler = hardware.scaler()
        self._generator = torch.Generator().manual_seed(seed)
        # The gradient of all parameters, which the ranks sum. None: there is one rank.
        self._message: Tensor | None = None
        if hardware.group.size > 1:
            self._message = torch.zeros(sum(each.numel() for each in self._parameters), device=hardware.device)
        self._graphs = self._make_graphs() if cuda else None
        self._warn = warn
        self.fault: NonFinite | None = None  # why the last update skipped a step; None if it took all steps

    @property
    def learning_rate(self) -> float:
        """The optimizer's learning rate; may be set between updates."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._learning_rate = float(value)
        group = self._optimizer.param_groups[0]
        group["lr"] = group["lr"].fill_(value) if isinstance(group["lr"], Tensor) else self._learning_rate

    def _make_graphs(self, graph: type[CudaGraph] = CudaGraph) -> StepGraphs:
        if self._message is None:
            return StepGraphs(self._step, graph)
        return StepGraphs(self._gradient, graph, finish=self._descend)

    def begin_stage(self) -> None:
        """Restarts the return statistics. Call it when another stage begins: its returns may have another scale, and
        statistics over a long earlier stage would adapt too slowly."""
        self.return_scale.restart()

    def update(self, rollout: Rollout) -> dict[str, float]:
        """Trains on a finished rollout; the metrics are means over the minibatches whose step was taken.

        "learner/updates" counts the minibatches of this update (fewer after a target-KL stop), "learner/bad_updates"
        those of them whose loss or gradient was not finite, for which no step was taken. If no step was taken, the
        means are NaN. The host waits for the device twice: for the values, which GAE needs on the host, and for the
        metrics at the end (with a target KL also once per epoch).
        """
        assert rollout.finished, "finish() the rollout before learning from it"
        batch, metrics = self._prepare(rollout)
        steps = self._optimize(batch)
        good = steps[steps[:, BAD] == 0.0]
        means = good.mean(0) if len(good) else np.full(len(STEP_METRICS), np.nan)
        metrics.update(zip(STEP_METRICS, means.tolist(), strict=True))
        metrics["policy/ratio_max"] = float(good[:, RATIO_MAX].max()) if len(good) else float("nan")
        metrics["learner/updates"] = float(len(steps))
        metrics["learner/bad_updates"] = float(len(steps) - len(good))
        metrics["learner/learning_rate"] = self.learning_rate
        metrics["learner/entropy_coef"] = self.entropy_coef
        metrics["learner/clip_range"] = self.clip_range
        self.hardware.group.copy_first(self._parameters)  # different processors may round differently
        return metrics

    def _optimize(self, batch: Batch) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Runs the epochs of minibatches; returns one row of STEP_METRICS for each minibatch."""
        for i, value in enumerate((self.clip_range, self.entropy_coef)):
            self._ramps[i] = self._ramps[i].fill_(value) if isinstance(self._ramps[i], Tensor) else value
        shard = batch.shard
        count = len(batch.log_probs) // (shard.stop - shard.start) * shard.agents
        parts = max(1, round(count * self._length / self.minibatch_size))
        bounds = [part * count // parts for part in range(parts + 1)]
        orders = torch.stack([torch.randperm(count, generator=self._generator) for _ in range(self.epochs)])
        if shard.whole:  # otherwise the rows of each minibatch are selected on the host
            orders = self.hardware.tensor(orders.numpy())
        step = self._stepper(batch, {stop - start for start, stop in pairwise(bounds)})
        steps: list[Tensor] = []
        for epoch in range(self.epochs):
            for start, stop in pairwise(bounds):
                steps.append(step(orders[epoch, start:stop]))
            if self.target_kl is not None and epoch + 1 < self.epochs:
                kl = shard.group.sum(torch.stack(steps[-parts:])[:, KL].contiguous()).nanmean()
                if kl.item() > self.target_kl:
                    break
        everyone = np.stack(shard.group.gather(self.hardware.array(torch.stack(steps))))
        table: np.ndarray[Any, np.dtype[np.float32]] = everyone.sum(0)
        table[:, RATIO_MAX:] = everyone[:, :, RATIO_MAX:].max(0)
        bad = np.flatnonzero(table[:, BAD])
        self.fault = None
        if len(bad) and not self._only_scaler_search(table[bad]):
            epoch, part = divmod(int(bad[0]), parts)
            self.fault = self._diagnose(batch, orders[epoch, bounds[part] : bounds[part + 1]], table[bad[0]])
        return table

    def _stepper(self, batch: Batch, sizes: Collection[int]) -> Callable[[Tensor], Tensor]:
        """Returns the function that takes a gradient step on some rows of the batch of all ranks and returns the
        metrics. sizes: the numbers of rows that it will get."""
        eager = partial(self._step, batch)
        if self._graphs is None:
            return eager
        constants = (self.clip_range_value, self.value_coef, self.max_grad_norm)
        room = batch.shard.room(max(sizes))
        sizes = sizes if self._message is None else {room}
        if not self._graphs.fit(batch, sizes, constants):
            try:
                with self._rehearsal():
                    self._graphs.capture(batch, sizes, constants)
            except _NOT_CAPTURED as error:
                self._graphs = None
                reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
                self._warn(f"Updates take several times as long: a gradient step is no CUDA graph here ({reason})")
                return eager
        self._graphs.load(batch)
        return self._graphs.step if self._message is None else partial(self._padded_step, batch, room)

    def _padded_step(self, batch: Batch, room: int, rows: Tensor) -> Tensor:
        """Takes a gradient step as `_step`, by graphs for `room` rows of this rank."""
        mine = batch.shard.rows(rows)
        if self._graphs is None or not 0 < len(mine) <= room:
            return self._step(batch, rows)
        index, weights = mine[:1].repeat(room), torch.zeros(room)
        index[: len(mine)] = mine
        weights[: len(mine)] = self._share(rows)
        metrics = self._graphs.step(*(self.hardware.tensor(each.numpy()) for each in (index, weights)))
        self._meet()
        return torch.cat([metrics, self._graphs.finish()])

    @contextmanager
    def _rehearsal(self) -> Iterator[None]:
        """Within this context steps on rows that are not finite change nothing. The optimizer leaves them out, but the
        gradient scaler, if there is one, would lower its scale."""
        before = copy.deepcopy(self._scaler)
        try:
            yield
        except _NOT_CAPTURED:
            self._scaler = before  # the other one may be in the middle of a step
            raise
        if before.is_enabled():
            self._scaler.load_state_dict(before.state_dict())

    def _only_scaler_search(self, bad: np.ndarray[Any, np.dtype[np.float32]]) -> bool:
        """Whether these steps were skipped only because fp16's gradient scaler was looking for its largest scale."""
        return self._scaler.is_enabled() and bool(np.isfinite(bad[:, TOTAL]).all()) and self._scaler.get_scale() >= 1

    def _diagnose(self, batch: Batch, rows: Tensor, metrics: np.ndarray[Any, np.dtype[np.float32]]) -> NonFinite:
        """Returns why a minibatch's step was not taken, with rows of the rank that has the most non-finite numbers."""
        mine = batch.shard.rows(rows).to(self.hardware.device)
        found = batch.shard.group.gather(self._diagnose_part(batch, mine, metrics) if len(mine) else None)
        return max((each for each in found if each is not None), key=_num_not_finite)

    def _diagnose_part(self, batch: Batch, rows: Tensor, metrics: np.ndarray[Any, np.dtype[np.float32]]) -> NonFinite:
        losses = {name: float(metrics[STEP_METRICS.index(name)]) for name in PARTS}
        names = ("log_probs", "advantages", "returns", "values")

        def taken(column: Tensor) -> Tensor:
            return column[rows] if self.sequence_length is None else column[rows].flatten(0, 1)

        columns = {name: taken(getattr(batch, name)) for name in names}

        def gradients() -> tuple[Tensor | None, ...]:
            loss = self._losses(batch, rows, self._share(rows))[0]
            return torch.autograd.grad(loss, self._parameters, allow_unused=True)

        name = diagnosis.cause(self._named, losses, columns, gradients)
        worst = diagnosis.worst_rows(columns)
        sequences = Sequences(batch.shard.stop - batch.shard.start, self.sequence_length)
        numbers = sequences.fold(torch.arange(batch.log_probs.numel(), device=rows.device))
        kept = {each: taken(getattr(batch, each))[worst].cpu() for each in ("observations", "actions", *names)}
        arrays = {each: (kept[each].float() if each == "observations" else kept[each]).numpy() for each in kept}
        return NonFinite(name, {"losses": losses}, {"rows": taken(numbers)[worst].cpu().numpy(), **arrays})

    def _step(self, batch: Batch, rows: Tensor) -> Tensor:
        """Takes one gradient step on some rows of the batch of all ranks. Returns what this rank's rows add to its
        STEP_METRICS, on the device."""
        metrics = self._gradient(batch, batch.shard.rows(rows).to(self.hardware.device), self._share(rows))
        self._meet()
        return torch.cat([metrics, self._descend()])

    def _share(self, rows: Tensor) -> float:
        """The weight of a row in a mean over these rows."""
        return 1.0 / max(len(rows) * self._length, 1)

    def _gradient(self, batch: Batch, rows: Tensor, weights: Tensor | float) -> Tensor:
        """Computes the gradient of the loss of some of this rank's rows. weights: of each row in the mean over the
        minibatch, (B,), or one for all. Returns what they add to STEP_METRICS, but for the gradient's.

        The rows are split into parts of a size at which the hardware is fast, whose gradients add up.
        """
        self._optimizer.zero_grad()
        if len(rows):
            parts = self._prepare.parts(rows)
            shares: Sequence[Tensor | float] = [weights] * len(parts)
            if isinstance(weights, Tensor):
                shares = self._prepare.parts(weights)
            metrics = torch.stack([self._accumulate(batch, *each) for each in zip(parts, shares, strict=True)])
        else:  # this rank takes part in the step with a zero gradient
            metrics = batch.values.new_zeros(1, RATIO_MAX + 1)
        if self._message is not None:
            gradients = (torch.zeros_like(each) if each.grad is None else each.grad for each in self._parameters)
            torch.cat([each.flatten() for each in gradients], out=self._message)
        return torch.cat([metrics[:, :RATIO_MAX].sum(0), metrics[:, RATIO_MAX:].amax(0)])

    def _meet(self) -> None:
        """Sums the gradients of all ranks, as one message."""
        if self._message is not None:
            self.hardware.group.sum(self._message)

    def _accumulate(self, batch: Batch, rows: Tensor, weights: Tensor | float) -> Tensor:
        """Adds the gradient of the loss of some rows. Returns what they add to STEP_METRICS, and the largest ratio."""
        loss, policy, value, entropy, log_ratio, ratio = self._losses(batch, rows, weights)
        self._backward(loss)
        with torch.no_grad():
            kl = _weighted(approximate_kl(log_ratio, ratio), weights)
            clipped = _weighted(((ratio - 1.0).abs() > self._ramps[0]).float(), weights)
            return torch.stack([policy, value, loss, entropy, kl, clipped, ratio.max()])

    def _losses(self, batch: Batch, rows: Tensor, weights: Tensor | float) -> tuple[Tensor, ...]:
        """Returns the loss of some rows, its parts for policy and value, the entropy, each a weighted sum, and each
        row's log-ratio and ratio."""
        observations, actions, masks, old_log_probs, advantages, returns, old_values, *recurrent = (
            column.index_select(0, rows) for column in batch.columns().values()
        )
        with self.hardware.autocast():
            log_probs, entropies, values = self.model.evaluate(observations, actions, masks, *recurrent)
        log_ratio = log_probs - old_log_probs
        ratio = log_ratio.exp()
        clip_range, entropy_coef = self._ramps
        policy = _weighted(policy_loss(ratio, advantages, clip_range), weights)
        value = _weighted(value_loss(values, returns, old_values, self.clip_range_value), weights)
        entropy = _weighted(entropies, weights)
        loss = policy + self.value_coef * value - entropy_coef * entropy
        return loss, policy, value, entropy, log_ratio, ratio

    def _backward(self, loss: Tensor) -> None:
        # A loss that is not finite makes every gradient NaN, so it is enough to check the gradient.
        seed = torch.where(loss.detach().isfinite(), 1.0, torch.nan)
        torch.autograd.backward(self._scaler.scale(loss), seed)

    def _descend(self) -> Tensor:
        """Takes the gradient step if the gradient is finite. Returns (2,): the gradient's norm, and 1 if not taken.

        The decision stays on the device: fused Adam does not change weights and moments if its `found_inf` is set.
        GradScaler skips a step in the same way.
        """
        if self._message is not None:
            parts = torch.split(self._message, [each.numel() for each in self._parameters])
            for parameter, part in zip(self._parameters, parts, strict=True):
                parameter.grad = part.view_as(parameter)
        self._scaler.unscale_(self._optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self.max_grad_norm)
        bad = (~norm.isfinite()).float()
        if self._scaler.is_enabled():
            self._scaler.step(self._optimizer)
            self._scaler.update()
        else:
            self._optimizer.found_inf = bad  # type: ignore[attr-defined]
            self._optimizer.step()
        self.model.head.keep_bounds()
        return torch.stack([norm, bad])

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Returns copies, on the CPU, of everything except the weights that an update depends on: the optimizer's
        moments by parameter name, gradient scale, return statistics, generator. After `load_state` updates are equal to
        the last bit."""
        tensors = {f"return_scale/{name}": each for name, each in self.return_scale.state().items()}
        tensors["generator"] = self._generator.get_state()
        for name, parameter in self._named.items():
            for key, value in self._optimizer.state.get(parameter, {}).items():
                tensors[f"{key}/{name}"] = value.detach().cpu().clone()
        return tensors, {"learning_rate": self.learning_rate, "scaler": self._scaler.state_dict()}

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Restores a `state()`. Raises ValueError if it belongs to a model with other parameters."""
        started = any(key.startswith("exp_avg/") for key in tensors)
        for name, parameter in self._named.items() if started else ():
            saved = {key: tensors.get(f"{key}/{name}") for key in ("step", "exp_avg", "exp_avg_sq")}
            moments = {key: value for key, value in saved.items() if value is not None}
            if len(moments) < len(saved) or moments["exp_avg"].shape != parameter.shape:
                raise ValueError(
                    f"The saved optimizer state does not fit {name}, of shape {tuple(parameter.shape)}.\n"
                    "Resume with the model settings that the checkpoint was trained with."
                )
            # The step counts are on the parameter's device too, as fused Adam requires.
            self._optimizer.state[parameter] = {
                key: value.to(parameter.device, copy=True) for key, value in moments.items()
            }
        if not started:
            self._optimizer.state.clear()
        if self._graphs is not None:
            self._graphs.clear()  # they write to the moments that have been replaced
        self.return_scale.load_state(
            {key: tensors[f"return_scale/{key}"] for key in ("count", "mean", "var", "running")}
        )
        self._generator.set_state(tensors["generator"].cpu())
        self.learning_rate = meta["learning_rate"]
        if meta["scaler"] and self._scaler.is_enabled():
            self._scaler.load_state_dict(meta["scaler"])


def _weighted(rows: Tensor, weights: Tensor | float) -> Tensor:
    """The sum of rows (B, ...), each times its weight: (B,), or one number for all."""
    if isinstance(weights, Tensor):
        weights = weights.view(-1, *[1] * (rows.dim() - 1))
    return (rows * weights).sum()


def _num_not_finite(fault: NonFinite) -> int:
    """Returns how many numbers in the saved arrays are not finite."""
    return sum(int((~np.isfinite(each)).sum()) for each in fault.arrays.values())
