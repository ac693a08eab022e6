"""AWS's Extensions API (2020-01-01). Read registry.py (who is there), api.py (the paths); supervisor.py."""
