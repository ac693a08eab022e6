"""What seals an environment: from a forked process to a function that sees nothing but its own.

Loaded by the launcher, and by path inside zygotes of other Python versions: Python 3.9 syntax, nothing of Cosset, and
little of the standard library, for a module loaded in a zygote wins over a function's own of that name. So even typing
is there for the type checker alone (`MYPY`).
Read in order: kernel.py, channel.py, filesystem.py, filter.py, privileges.py, seal.py, runtime_process.py, alone.py,
spawner.py.
"""
