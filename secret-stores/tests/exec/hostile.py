"""The example program, except that it misbehaves once, in the way that its last argument names."""

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "examples" / "exec"))
import keep

directory, fault = Path(sys.argv[1]), sys.argv[2]
op, _, how = fault.partition(":")


def strikes():
    """Whether this is the first time, in whichever process."""
    try:
        os.close(os.open(directory.with_name("struck"), os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


def say(answer):
    print(json.dumps(answer), flush=True)


def misbehave(request):
    number = request["id"]
    password = given.get(request.get("version"), "")
    if how == "dies-before":
        os._exit(3)
    if how == "dies-after":
        keep.act(directory, request)
        os._exit(3)
    if how == "killed-after":
        keep.act(directory, request)
        os.kill(os.getpid(), 9)
    if how == "hangs":
        time.sleep(3600)
    if how == "hangs-after":
        keep.act(directory, request)
        time.sleep(3600)
    if how == "prose":
        print("I keep " + str(request.get("password")), flush=True)
    if how == "wrong-shape":
        say({"id": str(request.get("password")), "ok": "yes"})
    if how == "other-id":
        say({"id": number + 1000, "ok": True})
    if how == "twice":
        keep.act(directory, request)
        say({"id": number, "ok": True})
        say({"id": number, "ok": True})
    if how == "endless-line":
        sys.stdout.write("x" * 1_000_000)
        sys.stdout.flush()
    if how == "not-utf8":
        sys.stdout.buffer.write(b"\xff\xfe\n")
        sys.stdout.buffer.flush()
    if how == "floods-stderr":
        for _ in range(10_000):
            sys.stderr.write("noise " * 100 + str(request.get("password")) + "\n")
        say({"id": number, **keep.act(directory, request)})
    if how == "closes-stdin":
        os.close(0)
        time.sleep(3600)
    if how == "closes-stdout":
        os.close(1)
        time.sleep(3600)
    if how == "leaves-a-child":
        subprocess.Popen(["sleep", "60"])
        os._exit(3)
    if how == "refuses":
        say({"id": number, "ok": False, "retry": False, "error": "the vault is\n\x1b[31mfull"})
    if how == "asks-to-retry":
        say({"id": number, "ok": False, "retry": True, "error": "the vault is locked"})
    if how == "betrays":
        say({"id": number, "ok": False, "error": "cannot keep " + password})
    if how == "betrays-escaped":
        say({"id": number, "ok": False, "error": "cannot read " + json.dumps({"password": password})})
    if how == "betrays-encoded":
        say({"id": number, "ok": False, "error": base64.b64encode(password.encode()).decode()})
    if how == "mute":
        say({"id": number, "ok": False})
    if how == "protocol-2":
        say({"id": number, "ok": True, "protocol": 2})
    if how == "no-protocol":
        say({"id": number, "ok": True})
    if how == "cannot-reveal":
        say({"id": number, "ok": True, "protocol": 1})
    if how == "no-password":
        say({"id": number, "ok": True})


held = []
given = {}
for line in sys.stdin.buffer:
    request = json.loads(line)
    if request["op"] == "stage":
        given[request["version"]] = request["password"]
    if how == "slow":
        time.sleep(0.4)
    if how == "backwards":
        # Answers each handful of requests in the opposite order.
        held.append({"id": request["id"], **keep.act(directory, request)})
        if request["op"] == "hello" or len(held) == 8:
            while held:
                say(held.pop())
    elif how == "leaves-one-out":
        if request["op"] != op or request["account"] != "account-0":
            say({"id": request["id"], **keep.act(directory, request)})
    elif request["op"] == op and (how in ("cannot-reveal", "protocol-2") or strikes()):
        misbehave(request)
    else:
        say({"id": request["id"], **keep.act(directory, request)})
