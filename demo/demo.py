"""The main job of Cosset, on real input: stock boto3 and AWS CLI create functions, invoke them and read their logs.

Starts a server of its own on a free port, with a temporary data folder and home, and leaves nothing behind. Ends with
0 only when every answer was the right one.
"""

import base64
import io
import json
import re
import subprocess
import sys
import sysconfig
import time
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

from PIL import Image
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from cosset.testing import CossetServer, best_tier

HERE = Path(__file__).parent
PYTHON = f"python3.{sys.version_info.minor}"
NODE = "nodejs24.x"
AWS = Path(sys.executable).parent / "aws"
LOG_WAIT_S = 30
console = Console(highlight=False)


def main() -> None:
    tier = best_tier()
    with CossetServer(["--tier", tier]) as server:
        console.print(f"[bold]Cosset[/] serves at [cyan]{server.endpoint}[/], account {server.account}, tier {tier}")
        if tier == "process":
            console.print(
                "[bold red]This host can give no jail: these functions are not isolated.[/] See cosset doctor."
            )
        role = f"arn:aws:iam::{server.account}:role/cosset-basic"
        aws_lambda, logs = server.client("lambda"), server.client("logs")

        step("boto3 creates greetingsOnDemand in Python")
        source = (HERE / "functions/greetings.py").read_text()
        create(aws_lambda, "greetingsOnDemand", role, make_zip({"greetings.py": source}), "greetings.handler")
        expect(invoke(aws_lambda, "greetingsOnDemand", {"name": "Ada"}), "Hello Ada!")
        expect(invoke(aws_lambda, "greetingsOnDemand", {}), "Hello World!")

        step("The AWS CLI creates it in Node")
        package = server.root / "greetings.zip"
        package.write_bytes(make_zip({"greetings.mjs": (HERE / "functions/greetings.mjs").read_text()}))
        name = "greetingsOnDemandNode"
        aws(server, f"lambda create-function --function-name {name} --runtime {NODE} --role {role}"
            f" --handler greetings.handler --zip-file fileb://{package}")  # fmt: skip
        aws(server, f"lambda wait function-active-v2 --function-name {name}")
        for event in ('{"name":"Grace"}', "{}"):
            answer = server.root / "answer.json"
            aws(server, f"lambda invoke --function-name {name} --payload {event} {answer}")
            expect(json.loads(answer.read_text()), f"Hello {json.loads(event).get('name', 'World')}!")

        step("A photograph becomes a thumbnail; Pillow is packed into the function's zip")
        source = (HERE / "functions/thumbnail.py").read_text()
        create(aws_lambda, "thumbnail", role, make_zip({"thumbnail.py": source}, "PIL", "pillow.libs"),
               "thumbnail.handler", MemorySize=512, Timeout=30)  # fmt: skip
        photograph = {"image": base64.b64encode((HERE / "photograph.jpg").read_bytes()).decode(), "width": 64}
        made = invoke(aws_lambda, "thumbnail", photograph)
        show(Image.open(io.BytesIO(base64.b64decode(made["image"]))))
        expect(made["size"], [64, 42])
        invoke(aws_lambda, "thumbnail", photograph)

        step("Asynchronously: the event is on disk before the 202")
        queued = aws_lambda.invoke(
            FunctionName="thumbnail", InvocationType="Event", Payload=json.dumps(photograph | {"width": 128})
        )
        expect(queued["StatusCode"], 202)
        wait_for_log(logs, "thumbnail", f"REPORT RequestId: {queued['ResponseMetadata']['RequestId']}")

        step("A published version behind the alias Prod stays as it was when the code changes")
        version = aws_lambda.publish_version(FunctionName="greetingsOnDemand")["Version"]
        aws(server, f"lambda create-alias --function-name greetingsOnDemand --name Prod --function-version {version}")
        changed = (HERE / "functions/greetings.py").read_text().replace("Hello", "Good evening,")
        aws_lambda.update_function_code(FunctionName="greetingsOnDemand", ZipFile=make_zip({"greetings.py": changed}))
        aws_lambda.get_waiter("function_updated_v2").wait(FunctionName="greetingsOnDemand")
        expect(invoke(aws_lambda, "greetingsOnDemand", {"name": "Ada"}, Qualifier="Prod"), "Hello Ada!")
        expect(invoke(aws_lambda, "greetingsOnDemand", {"name": "Ada"}), "Good evening, Ada!")

        step("Photo sharing: the photograph goes into a bucket, and a public page shows it (examples/photo-sharing)")
        share_photograph(server)

        step("What they wrote, as CloudWatch Logs has it")
        reports = {}
        for name, calls in {"greetingsOnDemand": 4, "greetingsOnDemandNode": 2, "thumbnail": 3}.items():
            reports[name] = print_log(wait_for_log(logs, name, "REPORT RequestId", calls), name)

        step("How long they took")
        print_times(reports)
    console.print("\n[bold green]All of it was right.[/]")


def share_photograph(server: CossetServer) -> None:
    """As the example's README has it: bucket, function, notes, page, topic, queue."""
    script = HERE.parent / "examples/photo-sharing/deploy.py"
    deployed = subprocess.run([sys.executable, script], env=server.environ, capture_output=True, text=True)
    if deployed.returncode != 0:
        sys.exit(f"{script} failed: {deployed.stderr}")
    made = json.loads(deployed.stdout)
    photograph = (HERE / "photograph.jpg").read_bytes()
    uploaded = server.client("s3").put_object(Bucket=made["uploads"], Key="photograph.jpg", Body=photograph)
    told = wait_for_message(server.client("sqs"), made["queue"])
    expect((told["picture"], told["thumbnail"]), ("photograph.jpg", "thumbnails/photograph.jpg.jpg"))
    note = server.client("s3").get_object(Bucket=made["notes"], Key="photograph.jpg.json")["Body"].read()
    console.print(f"  noted: {note.decode()}", markup=False, soft_wrap=True)
    page = visit(server, made["page"]).decode()
    expect(told["thumbnail"] in page, True)
    console.print(f"  anyone may see it at [cyan]{made['page']}[/]", soft_wrap=True)
    show(Image.open(io.BytesIO(visit(server, made["page"] + told["thumbnail"]))))
    print_causes(server, uploaded["ResponseMetadata"]["RequestId"])


def print_causes(server: CossetServer, request_id: str) -> None:
    """What the upload caused, and what that caused, as `cosset trace` has it."""
    console.print("  [dim]$ cosset trace REQUEST_ID[/]   (of the upload)")
    command = [Path(sys.executable).parent / "cosset", "trace", request_id]
    until, tree = time.monotonic() + LOG_WAIT_S, ""
    while "message in queue" not in tree and time.monotonic() < until:
        traced = subprocess.run(command, env=server.environ, capture_output=True, text=True)
        if traced.returncode != 0:
            sys.exit(f"cosset trace failed: {traced.stderr}")
        tree = traced.stdout
    for line in tree.splitlines():
        console.print(f"    {line}", markup=False, soft_wrap=True)
    if "message in queue" not in tree:
        sys.exit("the tree does not reach the queue")


def visit(server: CossetServer, url: str) -> bytes:
    """What a browser gets, which has no key, and knows that all of .localhost is here."""
    site = urllib.parse.urlsplit(url)
    request = urllib.request.Request(f"{server.endpoint}{site.path}", headers={"Host": site.netloc})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return bytes(answer.read())


def wait_for_message(sqs, queue: str) -> dict:
    until = time.monotonic() + LOG_WAIT_S
    while time.monotonic() < until:
        for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5).get("Messages", []):
            return json.loads(message["Body"])
    sys.exit(f"nothing came into {queue}")


def step(what: str) -> None:
    console.print(f"\n[bold]{what}[/]")


def expect(answer: object, wanted: object) -> None:
    console.print(f"  [green]{answer!r}[/]" if answer == wanted else f"  [red]{answer!r}, not {wanted!r}[/]")
    if answer != wanted:
        sys.exit(1)


def make_zip(files: dict[str, str], *packages: str) -> bytes:
    """A deployment package of these files and of these folders from our own site-packages."""
    buffer, site = io.BytesIO(), Path(sysconfig.get_path("platlib"))
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        for path in (path for package in packages for path in (site / package).rglob("*") if path.is_file()):
            if "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(site))
    return buffer.getvalue()


def create(aws_lambda, name: str, role: str, package: bytes, handler: str, **more: object) -> None:
    arguments = {"FunctionName": name, "Runtime": PYTHON, "Role": role, "Handler": handler, **more}
    aws_lambda.create_function(Code={"ZipFile": package}, **arguments)
    aws_lambda.get_waiter("function_active_v2").wait(FunctionName=name)
    console.print(f"  {name}, {len(package) / 1024:,.0f} KB")


def invoke(aws_lambda, name: str, event: dict, **more: str):
    answer = aws_lambda.invoke(FunctionName=name, Payload=json.dumps(event), **more)
    body = answer["Payload"].read()
    if "FunctionError" in answer:
        sys.exit(f"{name} failed: {body.decode()}")
    return json.loads(body)


def aws(server: CossetServer, command: str) -> None:
    """The stock AWS CLI, with nothing but the profile that Cosset made."""
    console.print(f"  [dim]$ aws {command[:100]}{' ...' if len(command) > 100 else ''}[/]", soft_wrap=True)
    done = subprocess.run([AWS, *command.split()], env=server.environ, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"aws ended with {done.returncode}: {done.stderr}")


def wait_for_log(logs, name: str, text: str, times: int = 1) -> list[str]:
    """The messages of the function's log, once `text` is in it so many times."""
    until = time.monotonic() + LOG_WAIT_S
    while time.monotonic() < until:
        try:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
            messages = [event["message"].rstrip() for page in pages for event in page["events"]]
        except logs.exceptions.ResourceNotFoundException:
            messages = []
        if sum(text in message for message in messages) >= times:
            return messages
        time.sleep(0.2)
    sys.exit(f"the log of {name} lacks {text!r}")


def print_log(messages: list[str], name: str) -> list[str]:
    console.print(f"  [cyan]/aws/lambda/{name}[/]")
    for message in messages:
        style = "dim" if message.startswith(("START", "END")) else ""
        console.print(f"    {message}".expandtabs(2), style=style, markup=False, soft_wrap=True)
    return [message for message in messages if message.startswith("REPORT")]


def print_times(reports: dict[str, list[str]]) -> None:
    table = Table("function", "cold: init + run, ms", "warm, ms", "MB", box=None, padding=(0, 0, 0, 2))
    for name, lines in reports.items():
        cold = [line for line in lines if "Init Duration" in line]
        warm = [number("Duration", line) for line in lines if line not in cold]
        table.add_row(
            name,
            ", ".join(f"{number('Init Duration', line):.1f} + {number('Duration', line):.1f}" for line in cold),
            ", ".join(f"{duration:.1f}" for duration in warm),
            str(max(int(number("Max Memory Used", line)) for line in lines)),
        )
    console.print(table)


def number(name: str, report: str) -> float:
    """A figure of a REPORT line, whose fields are separated by tabs."""
    found = re.search(rf"\t{name}: ([\d.]+)", report)
    return float(found[1]) if found else 0.0


def show(picture: Image.Image) -> None:
    """The picture in the terminal: each character is two pixels, one above the other."""
    if not console.is_terminal:
        return
    pixels = picture.convert("RGB").load()
    for y in range(0, picture.height - 1, 2):
        line = Text("  ")
        for x in range(picture.width):
            above, below = (Color.from_rgb(*pixels[x, row]) for row in (y, y + 1))
            line.append("▀", Style(color=above, bgcolor=below))
        console.print(line)


if __name__ == "__main__":
    main()
