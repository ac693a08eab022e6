"""What serves a runtime on this host, asked by every tier in the same way."""

import asyncio

from cosset.environments.api import EnvironmentSpec, TierUnavailableError
from cosset.runtimes.catalogue import Catalogue, RuntimeNotServedError, Served


async def find_served(catalogue: Catalogue, spec: EnvironmentSpec) -> Served:
    """From memory after the first time; until then the looking runs in a thread.

    Raises: TierUnavailableError, when nothing here serves the runtime.
    """
    remembered = catalogue.remembered(spec.runtime, spec.architecture)
    if remembered is not None:
        return remembered
    try:
        return await asyncio.to_thread(catalogue.serve, spec.runtime, spec.architecture)
    except RuntimeNotServedError as missing:
        raise TierUnavailableError(str(missing)) from missing
