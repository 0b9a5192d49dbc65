"""What a sweep found: its jobs from best to worst, what mattered, a plot. The recipes are in conf/sweep."""

from rlbot.sweep.jobs import FAILURES, Job, collect, failures

__all__ = ["FAILURES", "Job", "collect", "failures"]
