"""Report a sweep: its jobs from best to worst, which settings mattered, and a plot. Sweeps are set up in conf/sweep."""

from rlbot.sweep.jobs import FAILURES, SweepJob, collect, failures

__all__ = ["FAILURES", "SweepJob", "collect", "failures"]
