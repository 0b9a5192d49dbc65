"""What a sweep found: its jobs from best to worst, what mattered, a plot. The recipes are in conf/sweep."""

from rlbot.sweep.jobs import FAILURES, RESULT, Job, collect, failures

__all__ = ["FAILURES", "RESULT", "Job", "collect", "failures"]
