"""`cosset bill`: what this month's functions would have cost on AWS."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from cosset.cli.client import data_option, json_option
from cosset.cli.own import call_own


@click.command()
@click.option("--month", metavar="YYYY-MM", help="Another month than this one (UTC).")
@data_option
@json_option
def bill(month: str | None, data: Path | None, as_json: bool) -> None:
    """Say what functions used in a month, and what that would have cost on AWS Lambda.

    Counted as Lambda counts: requests, and GB-seconds of the billed duration. Amounts in --json are exact texts.
    """
    answer = call_own(data, "GetBill", **({"month": month} if month else {}))
    if as_json:
        click.echo(json.dumps(answer))
        return
    for line in _lines(answer):
        click.echo(line)


def _lines(answer: dict[str, Any]) -> list[str]:
    prices = answer["prices"]
    lines = [f"{answer['month']}, at the prices of {prices['region']} as of {prices['as_of']}"]
    if answer["functions"]:
        width = max(len(each["function"]) for each in answer["functions"])
        lines.append(f"  {'function':<{width}}  {'requests':>10}  {'GB-seconds':>14}  {'architecture':<12}  region")
        lines += [
            f"  {each['function']:<{width}}  {each['requests']:>10}  {_round(each['gb_seconds'], 4):>14}  "
            f"{each['architecture']:<12}  {each['region']}"
            for each in answer["functions"]
        ]
    lines.append(f"  {answer['requests']} requests, {_round(answer['gb_seconds'], 4)} GB-seconds")
    lines.append(
        f"  left of the free tier: {answer['free_requests_left']} requests, "
        f"{_round(answer['free_gb_seconds_left'], 4)} GB-seconds"
    )
    lines.append(f"  to pay on AWS: ${_round(answer['total_usd'], 2)}; here: $0.00")
    return lines


def _round(amount: str, places: int) -> str:
    return f"{Decimal(amount):.{places}f}"
