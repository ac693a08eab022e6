"""AWS's Telemetry API (2022-07-01) and Logs API (2020-08-15). Read hub.py, then subscription.py and delivery.py."""
