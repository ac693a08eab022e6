"""Which runtime names a function may have, in AWS's words when it may not. Stands on the catalogue in runtimes/."""

import asyncio

from cosset.runtimes.catalogue import RUNTIMES, Catalogue, RuntimeNotServedError, RuntimeState, accepted


class RuntimeRules:
    """Implements functions.ports.RuntimeCatalogue.

    Args:
        legacy: take names that AWS has retired.
        strict: take only what is installed here in that very version.
    """

    def __init__(self, catalogue: Catalogue, *, legacy: bool = False, strict: bool = False) -> None:
        self._catalogue = catalogue
        self._legacy = legacy
        self._strict = strict

    async def refusal(self, runtime: str) -> str | None:
        """Why not, or None."""
        known = RUNTIMES.get(runtime)
        if known is None:
            return (
                f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
                f"[{', '.join(_current())}] or be a valid ARN"
            )
        if not accepted(runtime, legacy=self._legacy):
            return (
                f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda "
                "functions. We recommend you use a supported runtime while creating or updating functions."
            )
        if self._strict:
            try:
                await asyncio.to_thread(self._catalogue.serve, runtime)
            except RuntimeNotServedError as error:
                return str(error)
        return None


def _current() -> list[str]:
    return [name for name, runtime in RUNTIMES.items() if runtime.state is not RuntimeState.RETIRED]
