"""IAM's refusals, in its own sentences. Sources: recorded answers (iam), and the IAM API reference's error lists."""

from cosset.wire.errors import ServiceError


def no_such_entity(sentence: str) -> ServiceError:
    return ServiceError("NoSuchEntity", sentence, status=404)


def no_such_role(name: str) -> ServiceError:
    return no_such_entity(f"The role with name {name} cannot be found.")


def no_such_user(name: str) -> ServiceError:
    return no_such_entity(f"The user with name {name} cannot be found.")


def no_such_group(name: str) -> ServiceError:
    return no_such_entity(f"The group with name {name} cannot be found.")


def no_such_policy(arn: str) -> ServiceError:
    """As GetPolicy, DeletePolicy and the Detach calls say it."""
    return no_such_entity(f"Policy {arn} was not found.")


def not_attachable(arn: str) -> ServiceError:
    """As the Attach calls say it (recorded: test_role_attach_policy)."""
    return no_such_entity(f"Policy {arn} does not exist or is not attachable.")


def outside_own_account() -> ServiceError:
    """For changes to AWS's own policies, whatever the caller may."""
    return ServiceError("AccessDenied", "Policy is outside your own account.", status=403)


def already_exists(sentence: str) -> ServiceError:
    return ServiceError("EntityAlreadyExists", sentence, status=409)


def delete_conflict(sentence: str) -> ServiceError:
    return ServiceError("DeleteConflict", sentence, status=409)


def limit_exceeded(sentence: str) -> ServiceError:
    return ServiceError("LimitExceeded", sentence, status=409)


def malformed_policy(sentence: str) -> ServiceError:
    return ServiceError("MalformedPolicyDocument", sentence, status=400)


def validation_error(sentence: str) -> ServiceError:
    return ServiceError("ValidationError", sentence, status=400)


def invalid_input(sentence: str) -> ServiceError:
    return ServiceError("InvalidInput", sentence, status=400)


def protected_role(name: str) -> ServiceError:
    """Of roles that belong to an AWS service."""
    sentence = f"Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS"
    return ServiceError("UnmodifiableEntity", sentence, status=400)


def unparsable_arn() -> ServiceError:
    """With both blanks (recorded: test_role_attach_policy)."""
    return validation_error("Invalid ARN:  Could not be parsed!")
