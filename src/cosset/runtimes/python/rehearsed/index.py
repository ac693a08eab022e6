"""The function that the zygote runs for itself, so that its children run theirs sooner. Read next: ../rehearsal.py."""


def handler(event, context):
    return event
