"""The operations that simulate policies, and that say which condition keys policies want to be told."""

from collections.abc import Sequence
from typing import Any

from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.iam.errors import invalid_input
from cosset.services.iam.paging import page
from cosset.services.iam.policy_book import PolicyBook
from cosset.services.iam.records import Group, User
from cosset.services.iam.requirements import on_arn, on_everything
from cosset.services.iam.simulated_policies import (
    Exclusions,
    SimulatedPolicy,
    carried_policy,
    find_carried,
    given_policies,
    given_resource_policy,
)
from cosset.services.iam.simulation import (
    Simulation,
    Told,
    check_actions,
    known_of,
    owner_account,
    read_entries,
    simulated_user,
)
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store

_MAX_PAIRS = 10_000
_BOUNDARIES = "PermissionsBoundaryPolicyInputList"


class Simulator:
    def __init__(self, store: Store, book: PolicyBook) -> None:
        self._store = store
        self._book = book

    @operation("SimulateCustomPolicy", on_everything("SimulateCustomPolicy"))
    async def simulate_custom_policy(self, ctx: Context, params: Params) -> Result:
        _check(params)
        if "ResourcePolicy" in params and "CallerArn" not in params:
            raise invalid_input("CallerArn must be specified when ResourcePolicy is.")
        told = read_entries(params.get("ContextEntries", ()))
        if "CallerArn" in params:
            caller = simulated_user(params["CallerArn"])
            values = Told(told, known_of(caller, {}))
        else:
            caller, values = Principal(PrincipalKind.USER, ctx.account, "", ""), Told(told)
        simulation = Simulation(
            caller,
            values,
            given_policies("PolicyInputList", params["PolicyInputList"]),
            _given_boundary(params),
            _given_resource(params),
            owner_account(params, caller),
        )
        return _results(simulation, params)

    @operation("SimulatePrincipalPolicy", on_arn("SimulatePrincipalPolicy", "PolicySourceArn"))
    async def simulate_principal_policy(self, ctx: Context, params: Params) -> Result:
        """With the policies of a user and its groups', of a group, or of a role; those of the call come to them."""
        _check(params)
        arn, left_out = params["PolicySourceArn"], Exclusions.of(params.get("PolicyExclusionList", ()))
        carried = await self._store.read(lambda tx: find_carried(tx, self._book, ctx.account, arn, left_out))
        owner, boundary = carried.owner, _given_boundary(params)
        if "ResourcePolicy" in params and "CallerArn" not in params and not isinstance(owner, User):
            raise invalid_input("CallerArn must be specified when ResourcePolicy is and the source is no user.")
        if boundary is None and carried.boundary is not None:
            boundary = carried_policy(*carried.boundary)
        told = read_entries(params.get("ContextEntries", ()))
        if "CallerArn" in params:
            caller = simulated_user(params["CallerArn"])
        elif isinstance(owner, User):
            caller = Principal(PrincipalKind.USER, owner.account, owner.arn, owner.unique_id)
        elif isinstance(owner, Group):
            caller = Principal(PrincipalKind.USER, owner.account, "", "")
        else:
            caller = Principal(PrincipalKind.ROLE, owner.account, "", owner.unique_id, role_arn=owner.arn)
        values = Told(told, known_of(caller, carried.tags) if caller.arn or caller.role_arn else None)
        identity = [carried_policy(*each) for each in carried.texts]
        identity += given_policies("PolicyInputList", params.get("PolicyInputList", ()))
        owning = owner_account(params, caller)
        simulation = Simulation(caller, values, identity, boundary, _given_resource(params), owning, in_account=True)
        return _results(simulation, params)

    @operation("GetContextKeysForCustomPolicy", on_everything("GetContextKeysForCustomPolicy"))
    async def get_context_keys_for_custom_policy(self, ctx: Context, params: Params) -> Result:
        return _names(given_policies("PolicyInputList", params["PolicyInputList"]))

    @operation("GetContextKeysForPrincipalPolicy", on_arn("GetContextKeysForPrincipalPolicy", "PolicySourceArn"))
    async def get_context_keys_for_principal_policy(self, ctx: Context, params: Params) -> Result:
        arn = params["PolicySourceArn"]
        carried = await self._store.read(lambda tx: find_carried(tx, self._book, ctx.account, arn, Exclusions()))
        own = [carried_policy(*each) for each in carried.texts]
        return _names([*own, *given_policies("PolicyInputList", params.get("PolicyInputList", ()))])


def _check(params: Params) -> None:
    check_actions(params)
    if len(params["ActionNames"]) * len(params.get("ResourceArns", ())) > _MAX_PAIRS:
        raise invalid_input(f"Actions and resources make more than {_MAX_PAIRS} pairs.")
    if params.get("OrderedOrganizationPolicyInputList"):
        raise invalid_input("OrderedOrganizationPolicyInputList: there are no organizations here.")


def _given_boundary(params: Params) -> SimulatedPolicy | None:
    given = given_policies(_BOUNDARIES, params.get(_BOUNDARIES, ()))
    if len(given) > 1:
        raise invalid_input(f"{_BOUNDARIES} takes one policy: a user or role has one boundary.")
    return given[0] if given else None


def _given_resource(params: Params) -> SimulatedPolicy | None:
    return given_resource_policy(params["ResourcePolicy"]) if "ResourcePolicy" in params else None


def _results(simulation: Simulation, params: Params) -> Result:
    """In the order of the call; only what is on the page is worked out."""
    resources = params.get("ResourceArns", ())
    actions = list(enumerate(params["ActionNames"]))

    def show(action: tuple[int, str]) -> dict[str, Any]:
        return simulation.result(action[1], resources)

    return page("EvaluationResults", actions, lambda each: f"{each[0]:08}", show, params)


def _names(policies: Sequence[SimulatedPolicy]) -> Result:
    found = {name: key for policy in reversed(policies) for name, key in policy.keys.items()}
    ordered = dict.fromkeys(name for policy in policies for name in policy.keys)
    return {"ContextKeyNames": [found[name] for name in ordered]}
