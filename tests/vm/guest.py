"""What runs inside the virtual machine, by the name of its stage; prints for the host (run.py), ends with 0 if all is
well. The machine has cgroups of version 2 only, systemd, and a user without privileges called `ordinary`.
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from botocore.config import Config

from cosset.testing import server as testing

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT / "tests"))
USER = "ordinary"
ROOT_TESTS = [
    "tests/unit/environments/test_cgroups.py",
    "tests/unit/environments/test_hierarchies.py",
    "tests/security/test_jail_idle.py",
    "tests/security/test_jail_disk.py",
    "tests/security/test_jail.py",
]
QUIET_S = 20
"""So long nothing more must come before all is counted as there."""
_BATCH = 10
PATIENT = Config(read_timeout=600, retries={"max_attempts": 0})
"""Emulated beside other work, an answer may take longer than stock clients wait."""


def main() -> int:
    stage = sys.argv[1]
    testing.READY_TIMEOUT_S = 300  # emulated, a start takes a minute
    _say_where()
    return {
        "root": run_tests,
        "ordinary": as_ordinary,
        "delegated": as_delegated,
        "contained": as_contained,
        "serve": serve,
        "capped": lambda: serve(is_capped=True),
        "write": write,
        "read": read,
    }[stage]()


def _say_where() -> None:
    with open("/proc/self/cgroup") as file:
        group = file.read().strip()
    print(f"Linux {os.uname().release}, uid {os.getuid()}, cgroup {group}")


def run_tests() -> int:
    """The jail with everything, as root, but for what is about version 1, and for filling disks, which takes long."""
    _doctor()
    options = ["-v", "--tb=short", "-k", "not [1] and not caps_the_sum", "-p", "no:cacheprovider", "--durations=10"]
    command = [sys.executable, "-m", "pytest", *options, *ROOT_TESTS]
    folder = _mount_data() / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    changes = {"COSSET_TEST_PATIENCE": "12", "TMPDIR": str(folder)}
    return subprocess.run(command, cwd=PROJECT, env=os.environ | changes).returncode


def as_ordinary() -> int:
    """A server of a user without privileges."""
    return subprocess.run(
        ["runuser", "-u", USER, "--", sys.executable, __file__, "serve"], env=_environment()
    ).returncode


def as_delegated() -> int:
    """The same in a group that systemd has delegated to that user."""
    command = ["systemd-run", "--quiet", "--pipe", "--wait", f"--uid={USER}", "-p", "Delegate=yes"]
    command += [f"--setenv={name}={value}" for name, value in _environment().items()]
    return subprocess.run([*command, sys.executable, __file__, "capped"]).returncode


def as_contained() -> int:
    """As root of a container, whose top is a group of the host's, with other processes in it."""
    top = Path("/sys/fs/cgroup")
    (top / "cgroup.subtree_control").write_text("+cpu +memory +pids")
    (top / "contained").mkdir()
    inside = f"umount -l {top}; mount -t cgroup2 none {top}; sleep 1000 & {sys.executable} {__file__} capped"
    script = f"echo $$ > {top}/contained/cgroup.procs; unshare --mount --cgroup sh -ec '{inside}; kill $!'"
    return subprocess.run(["sh", "-ec", script]).returncode


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": f"/home/{USER}", "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}


def _doctor() -> dict[str, str]:
    """What it says of isolation: names, and how well they are."""
    doctor = [sys.executable, "-m", "cosset.cli", "doctor", "--json", "--data", "/tmp/none", "--min-free-mb", "1"]
    found = json.loads(subprocess.run(doctor, capture_output=True, text=True).stdout)
    for each in found:
        if each["topic"] == "isolation":
            print(f"doctor: {each['level']:<8} {each['name']}: {each['detail']}")
    return {each["name"]: each["level"] for each in found if each["topic"] == "isolation"}


CODE = """
import os, socket
def handler(event, context):
    if event == "fill":
        kept = []
        while True:
            kept.append(bytearray(1 << 20))
    try:
        os.listdir("/home/ordinary")
        home = "open"
    except OSError:
        home = "closed"
    try:
        socket.create_connection(("10.0.2.2", 80), 1)
        network = "open"
    except OSError:
        network = "closed"
    return [event, home, network, os.getuid()]
"""


def serve(*, is_capped: bool = False) -> int:
    """Doctor, then a function that answers, and one that outgrows its memory. `is_capped`: the kernel holds it."""
    from support.role import starter_role
    from support.zip import make_zip

    levels = _doctor()
    assert not is_capped or levels["cgroups"] == levels["freezing"] == "ok", levels
    with testing.CossetServer(["--tier", "jail", "--min-free-mb", "1"]) as server:
        client = server.client("lambda", config=PATIENT)
        package = {"ZipFile": make_zip({"app.py": CODE})}
        runtime = "python{}.{}".format(*sys.version_info[:2])
        given = {"Runtime": runtime, "Handler": "app.handler", "Role": starter_role(server), "Timeout": 60}
        client.create_function(FunctionName="f", Code=package, **given)
        client.get_waiter("function_active_v2").wait(FunctionName="f")
        answered = client.invoke(FunctionName="f", Payload=b'"hello"')["Payload"].read()
        print(f"answer: {answered.decode()}")
        assert json.loads(answered) == ["hello", "closed", "closed", 993]
        full = json.loads(client.invoke(FunctionName="f", Payload=b'"fill"')["Payload"].read())
        print(f"filling its memory: {full['errorType']}")
        assert full["errorType"] in ("Runtime.ExitError", "Runtime.OutOfMemory"), full
        again = json.loads(client.invoke(FunctionName="f", Payload=b'"again"')["Payload"].read())
        assert again[0] == "again", again
        if is_capped:
            _check_caps()
    return 0


def _check_caps() -> None:
    """The environments have groups below the delegated one, with all three controllers, and this process is beside."""
    own = Path("/proc/self/cgroup").read_text().strip().removeprefix("0::/")
    delegated = Path("/sys/fs/cgroup", own).parent
    handed_down = (delegated / "cgroup.subtree_control").read_text().split()
    print(f"handed down: {handed_down}; this process in {own}")
    assert {"cpu", "memory", "pids"} <= set(handed_down)
    sizes = {group.read_text().strip() for group in delegated.glob("cosset-*/*/memory.max")}
    print(f"memory of environments: {sizes}")  # "max": prepared, nobody's yet
    assert str(128 * 1024 * 1024) in sizes


ECHO = "def handler(event, context):\n    return event\n"


def _mount_data() -> Path:
    """The third disk."""
    folder = Path("/data")
    folder.mkdir(exist_ok=True)
    if subprocess.run(["blkid", "/dev/vdc"], stdout=subprocess.DEVNULL).returncode != 0:
        subprocess.run(["mkfs.ext4", "-q", "/dev/vdc"], check=True)
    subprocess.run(["mount", "/dev/vdc", "/data"], check=True)
    return folder


def _server():  # type: ignore[no-untyped-def]
    server = testing.CossetServer(["--tier", "jail", "--min-free-mb", "1"])
    server.data = _mount_data() / "cosset"
    return server


def write() -> int:
    """Until the power goes off: messages to a queue, and events whose results go to another."""
    from support.role import make_role
    from support.zip import make_zip

    server = _server()
    server.start()
    queues = server.client("sqs")
    messages = queues.create_queue(QueueName="messages")["QueueUrl"]
    queues.create_queue(QueueName="results")
    functions = server.client("lambda")
    boot = f"{time.time_ns():x}"
    arn = f"arn:aws:sqs:{server.region}:{server.account}:results"
    if not functions.list_functions()["Functions"]:
        runtime = "python{}.{}".format(*sys.version_info[:2])
        role = make_role(server, "echo", "sqs:SendMessage")
        package = {"ZipFile": make_zip({"app.py": ECHO})}
        functions.create_function(FunctionName="echo", Runtime=runtime, Handler="app.handler", Role=role, Code=package)
        functions.get_waiter("function_active_v2").wait(FunctionName="echo")
        goals = {"OnSuccess": {"Destination": arn}}
        functions.put_function_event_invoke_config(FunctionName="echo", DestinationConfig=goals)

    def send() -> None:
        for number in range(10**6):
            names = [f"message-{boot}-{number}-{place}" for place in range(_BATCH)]
            entries = [{"Id": str(place), "MessageBody": name} for place, name in enumerate(names)]
            answer = queues.send_message_batch(QueueUrl=messages, Entries=entries)
            taken = {each["Id"] for each in answer.get("Successful", ())}
            _acknowledge(name for place, name in enumerate(names) if str(place) in taken)

    def invoke() -> None:
        for number in range(10**6):
            name = f"event-{boot}-{number}"
            functions.invoke(FunctionName="echo", InvocationType="Event", Payload=json.dumps(name).encode())
            _acknowledge([name])

    threads = [threading.Thread(target=work, daemon=True) for work in (send, invoke)]
    for thread in threads:
        thread.start()
    while all(thread.is_alive() for thread in threads):
        time.sleep(0.5)
    print(server.log()[-2000:])
    return 1


def _acknowledge(names) -> None:  # type: ignore[no-untyped-def]
    sys.stdout.write("".join(f"ACK {name}\n" for name in names))
    sys.stdout.flush()


def read() -> int:
    """After the restart: everything that is in the two queues, until no more comes."""
    server = _server()
    with server:
        queues = server.client("sqs")
        urls = [queues.get_queue_url(QueueName=name)["QueueUrl"] for name in ("messages", "results")]
        last_s = time.monotonic()
        while time.monotonic() - last_s < QUIET_S:
            for url in urls:
                received = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=_BATCH, WaitTimeSeconds=1)
                taken = received.get("Messages", [])
                for message in taken:
                    body = message["Body"]
                    print(f"FOUND {json.loads(body)['responsePayload'] if body.startswith('{') else body}")
                if taken:
                    last_s = time.monotonic()
                    entries = [
                        {"Id": str(place), "ReceiptHandle": each["ReceiptHandle"]} for place, each in enumerate(taken)
                    ]
                    queues.delete_message_batch(QueueUrl=url, Entries=entries)
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
