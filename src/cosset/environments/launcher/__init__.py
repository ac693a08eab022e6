"""The privileged half of a node: makes namespaces, cgroups, mounts and uids, and does nothing else.

Standard library only, one thread. Read in order: owner.py, requests.py, launcher.py, cells.py, upkeep.py, cgroups.py,
hierarchies.py; client.py is the other end, in the server.
"""
