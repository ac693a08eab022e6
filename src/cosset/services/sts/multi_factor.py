"""SerialNumber and TokenCode of a call: was a second factor shown, and is it the caller's own?"""

from cosset.clock import Clock
from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.operation import Params
from cosset.services.sts.ports import SecondFactors
from cosset.wire.errors import ServiceError


class MultiFactor:
    def __init__(self, devices: SecondFactors, clock: Clock) -> None:
        self._devices = devices
        self._clock = clock

    async def shown_ms(self, caller: Principal, params: Params) -> int | None:
        """When a second factor was shown: now, or never (None), where the call names none.

        Raises:
            ServiceError: AccessDenied for a device that is not the caller's, or a code that it does not show now.
        """
        serial, code = params.get("SerialNumber"), params.get("TokenCode")
        if serial is None and code is None:
            return None
        if serial is None or code is None or caller.kind is not PrincipalKind.USER or caller.is_temporary:
            raise _failed("unable to validate MFA code")
        name = caller.arn.rpartition("/")[2]
        if not await self._devices.verify(caller.account, name, serial, code):
            raise _failed("invalid MFA one time pass code")
        return self._clock.now_ms()


def _failed(why: str) -> ServiceError:
    return ServiceError("AccessDenied", f"MultiFactorAuthentication failed with {why}.", status=403)
