"""Export a trained bot: a folder for RLBot v5 that does not need this project, or the network as a file.

`python -m rlbot.export`. template/ is the program of the folder; folder.py fills it; self_play.py makes the play that
its self-test repeats; capture.py turns states of the simulation into RLBot's packets.
"""
