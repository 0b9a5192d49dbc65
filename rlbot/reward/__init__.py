"""What a car earns in a step: built-in terms, terms of the user's own, and how they are put together."""

from rlbot.reward.compose import Reward, Term
from rlbot.reward.terms import TERMS

__all__ = ["TERMS", "Reward", "Term"]
