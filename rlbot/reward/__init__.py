"""The reward of a step: built-in terms, terms of the user's own, and their weighted sum."""

from rlbot.reward.compose import Reward, Term
from rlbot.reward.terms import TERMS

__all__ = ["TERMS", "Reward", "Term"]
