"""SelectObjectContent: records of an object, by a statement in SQL. Begin with query.py."""
