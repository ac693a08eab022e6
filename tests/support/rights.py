"""What functions' roles may do, as a test says it."""


class Rights:
    """Implements invocation.destinations.DeliveryRights: everything is allowed but what is in `denied`, as
    (action, resource). `asked` keeps every question."""

    def __init__(self) -> None:
        self.denied: set[tuple[str, str]] = set()
        self.asked: list[tuple[str, str, str, str]] = []

    async def may(self, role_arn: str, function_arn: str, action: str, resource: str) -> bool:
        self.asked.append((role_arn, function_arn, action, resource))
        return (action, resource) not in self.denied
