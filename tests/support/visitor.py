"""Functions that try to reach what they are told to, as sources."""

VISITOR = """
import socket, threading, time
def visit(host, port):
    try:
        with socket.create_connection((host, port), 3) as made:
            return made.recv(100).decode()
    except OSError as error:
        return error.errno or type(error).__name__
def pause(seconds):
    time.sleep(seconds)
def own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("203.0.113.7", 1))
        return probe.getsockname()[0]
def listen(port, seconds):
    server = socket.create_server(("0.0.0.0", port))
    server.settimeout(seconds)
    try:
        return server.accept()[1][0]
    except TimeoutError:
        return None
def handler(event, context):
    return [globals()[name](*arguments) for name, *arguments in event]
"""

LOOK_UP = """
def look_up(name):
    try:
        return sorted({found[4][0] for found in socket.getaddrinfo(name, 1)})
    except socket.gaierror:
        return None
"""
