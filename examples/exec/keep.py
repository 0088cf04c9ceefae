#!/usr/bin/env python3
"""Keeps passwords for `rotation` in a directory of files: an example of a program for the store kind "exec".

    [store]
    kind = "exec"
    program = ["./keep.py", "/var/lib/passwords"]
    path = "rotation.db"

DIRECTORY/TENANT/ACCOUNT/VERSION holds one password, and the link DIRECTORY/TENANT/ACCOUNT/current names the one that is
live. Put your password manager's calls into `act`; docs/exec-store.md says what each must do.
"""

import json
import os
import sys
from pathlib import Path
from urllib.parse import quote


def sync(directory):
    """Returns once what was done in the directory survives a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make(directory):
    if not directory.is_dir():
        make(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)
        sync(directory.parent)


def keep(file, password):
    """Writes the file whole or not at all."""
    make(file.parent)
    new = file.with_name(file.name + ".new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(password.encode())
        out.flush()
        os.fsync(out.fileno())
    new.replace(file)
    sync(file.parent)


def point(link, file):
    # several processes may run at once
    new = link.with_name(f"current.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(file.name)
    new.replace(link)
    sync(link.parent)


def act(directory, request):
    """Does what one request asks for. Doing it again does no harm."""
    op = request["op"]
    if op == "hello":
        return {"ok": True, "protocol": 1, "reveal": True}
    # Whatever the names are, they stay below the directory.
    tenant, account = ("_" + quote(request[part], safe="") for part in ("tenant", "account"))
    file = directory / tenant / account / request["version"]
    link = file.with_name("current")
    if op == "stage":
        if not file.exists():
            keep(file, request["password"])
    elif op == "commit":
        if not file.exists():
            return {"ok": False, "retry": False, "error": "this version is not kept here"}
        point(link, file)
    elif op in ("discard", "forget"):
        if link.is_symlink() and os.readlink(link) == file.name:
            link.unlink()
        if file.exists():
            file.unlink()
            sync(file.parent)
    elif op == "reveal":
        return {"ok": True, "password": file.read_bytes().decode()}
    else:
        return {"ok": False, "retry": False, "error": "this program does not know what that is"}
    return {"ok": True}


def main():
    directory = Path(sys.argv[1])
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            answer = act(directory, request)
        except OSError as error:
            # Never the request itself: it may hold a password.
            answer = {"ok": False, "retry": True, "error": error.strerror}
        print(json.dumps({"id": request["id"], **answer}), flush=True)


if __name__ == "__main__":
    main()
