"""What others must know of S3 before it is imported."""

CHANGES = "s3"
"""Announced, with the bucket's name, when what the evaluator or the door knows of a bucket changes."""
