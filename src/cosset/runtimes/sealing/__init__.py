"""What seals an environment: from a forked process to a function that sees nothing but its own.

Loaded by the launcher, and by path inside zygotes of other Python versions: standard library only, Python 3.9 syntax,
imports nothing of Cosset. Read in order: kernel.py, channel.py, filesystem.py, filter.py, seal.py, spawner.py.
"""
