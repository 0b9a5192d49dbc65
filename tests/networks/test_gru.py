"""The gated recurrent unit: the same as PyTorch's cell, and every weight learns."""

import torch

from rlbot.networks import GRU


def test_it_is_the_cell_of_pytorch() -> None:
    torch.manual_seed(0)
    network, cell = GRU(5, 7, width=4), torch.nn.GRUCell(4, 4)
    for name, layer in (("ih", network.input), ("hh", network.recurrent)):
        torch.nn.init.normal_(layer.bias)
        cell.load_state_dict({f"weight_{name}": layer.weight, f"bias_{name}": layer.bias}, strict=False)
    observations, states = torch.randn(3, 5), torch.randn(3, 4)
    _, _, following = network(observations, states)
    torch.testing.assert_close(following, cell(network.encoder(observations), states))


def test_shapes_and_that_every_weight_learns() -> None:
    torch.manual_seed(0)
    network = GRU(5, 7, width=4)
    logits, values, states = network(torch.randn(3, 5), torch.randn(3, network.state_size))
    assert (logits.shape, values.shape, states.shape) == ((3, 7), (3, 1), (3, 4))
    (logits.square().sum() + values.square().sum()).backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in network.parameters())


def test_a_sequence_at_once_is_its_steps_one_by_one() -> None:
    torch.manual_seed(0)
    network = GRU(5, 7, width=4)
    observations, states = torch.randn(3, 6, 5), torch.randn(3, 4)
    begins = torch.tensor([[0, 0, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]], dtype=torch.bool)
    logits, values = network.unroll(observations, states, begins)
    for step in range(6):
        states = torch.where(begins[:, step, None], 0.0, states)
        expected, value, states = network(observations[:, step], states)
        torch.testing.assert_close(logits[:, step], expected)
        torch.testing.assert_close(values[:, step], value)
