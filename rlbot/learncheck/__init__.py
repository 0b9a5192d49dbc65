"""How a recipe learns: several seeds trained from scratch, their checkpoints in matches, curves of what came out.

`python -m rlbot.learncheck`. trainings.py trains, versions.py plays, curves.py keeps the results and their medians,
picture.py draws them.
"""
