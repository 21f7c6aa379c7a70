"""Attacks of a cell or a skill on what is around it: one definition of each, for the tests and for `benchmarks/attacks.py`.

A move (`moves_*`) is the text of a function that runs where a cell or a skill would. `scene` is the world that it tries to
harm or to rob, and says whether it did. `stage` is an orchestrator's process with one worker after another in it, `play`
plays attacks on a stage.
"""
