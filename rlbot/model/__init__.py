"""Networks: the actor-critic, its action heads, activations and running statistics.

Nothing is imported here, because the workers import `activations` only and must not import PyTorch.
"""
