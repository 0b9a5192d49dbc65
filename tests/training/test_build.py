"""Settings into the objects of a run: what this machine cannot give is found here, before anything is trained."""

import pytest
import torch

from rlbot.settings.command import compose
from rlbot.training.build import build

SMALL = ["experiment=debug", "model.hidden=[8]", "env.workers=0", "hardware=cpu", "hardware.compile=true"]


def test_a_machine_that_cannot_compile_is_told_so_in_two_lines() -> None:
    from torch._inductor import config as inductor

    with (
        inductor.patch({"cpp.cxx": ("a-compiler-that-is-not-there",), "force_disable_caches": True}),
        pytest.raises(ValueError, match=r"^hardware\.compile=true: torch\.compile failed on this machine \(") as caught,
    ):
        build(compose(SMALL), print)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.slow
def test_compiling_before_the_training_changes_nothing() -> None:
    compiled, plain = (build(compose([*SMALL, f"hardware.compile={value}"]), print) for value in ("true", "false"))
    for name, weights in plain.model.state_dict().items():
        assert torch.equal(weights, compiled.model.state_dict()[name])
    assert all(each.grad is None for each in compiled.model.parameters())
    assert torch.equal(compiled.ppo.state()[0]["generator"], plain.ppo.state()[0]["generator"])
