"""Amazon SNS: topics, who subscribes to them, and what is published delivered to each. Read next: service.py."""
