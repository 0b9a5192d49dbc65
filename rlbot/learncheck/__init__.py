"""Measure how a recipe learns: train several seeds from scratch, let their checkpoints play matches, draw the curves.

Run it with `python -m rlbot.learncheck`. trainings.py trains, versions.py plays the matches, curves.py holds results
and medians, picture.py draws them.
"""
