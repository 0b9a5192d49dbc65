"""Networks: the actor-critic, its action heads, activations and running statistics.

Nothing is imported here: what plays takes `activations` alone, and does without PyTorch.
"""
