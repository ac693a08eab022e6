"""Amazon S3: buckets, the objects in them, and what happens because of them. Read next: service.py, then model.py."""
