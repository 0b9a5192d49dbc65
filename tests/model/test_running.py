import torch

from rlbot.model.running import RunningMeanStd, merge_moments, moments_of


def add(statistics: RunningMeanStd, rows: torch.Tensor) -> None:
    """Adds rows (..., *shape)."""
    shape = statistics.mean.shape
    count, mean, m2 = moments_of(rows.reshape(-1, shape.numel()).numpy())
    statistics.merge((count, mean.reshape(shape), m2.reshape(shape)))


def test_batches_give_the_statistics_of_all_rows_at_once() -> None:
    rows = 1e6 + torch.randn(1000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    statistics = RunningMeanStd((3,))
    for batch in rows.split([1, 400, 0, 99, 500]):
        add(statistics, batch)
    assert statistics.count == 1000
    torch.testing.assert_close(statistics.mean, rows.mean(0))
    torch.testing.assert_close(statistics.std, rows.std(0, correction=0), rtol=1e-9, atol=0.0)


def test_by_hand() -> None:
    statistics = RunningMeanStd()
    assert (statistics.mean, statistics.var) == (0.0, 1.0)
    add(statistics, torch.tensor([[1.0, 3.0]]))  # mean 2, squared deviations 2
    add(statistics, torch.tensor([8.0]))  # 1, 3, 8: mean 4, squared deviations 9 + 1 + 16
    assert [each.item() for each in statistics.moments()] == [3.0, 4.0, 26.0]


def test_merging_the_parts_of_several_processes_equals_seeing_all() -> None:
    rows = torch.randn(300, generator=torch.Generator().manual_seed(0)).double()
    parts = []
    for part in rows.split([50, 250]):
        each = RunningMeanStd()
        add(each, part)
        parts.append(each.moments())
    whole = RunningMeanStd()
    add(whole, rows)
    for merged, expected in zip(merge_moments(*parts), whole.moments(), strict=True):
        torch.testing.assert_close(merged, expected)


def test_an_empty_sample_changes_nothing_and_a_state_dict_restores_everything() -> None:
    statistics = RunningMeanStd((2,))
    statistics.merge(RunningMeanStd((2,)).moments())
    assert statistics.var.tolist() == [1.0, 1.0]
    add(statistics, torch.randn(10, 2))
    before = [each.clone() for each in statistics.moments()]
    statistics.merge(RunningMeanStd((2,)).moments())
    copy = RunningMeanStd((2,))
    copy.load_state_dict(statistics.state_dict())
    for old, new, copied in zip(before, statistics.moments(), copy.moments(), strict=True):
        assert torch.allclose(old, new, rtol=1e-15) and torch.equal(new, copied)
