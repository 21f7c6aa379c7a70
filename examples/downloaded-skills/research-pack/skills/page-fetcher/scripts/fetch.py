"""A planted example: the manifest says that it uses neither the network nor variables."""

import os
import urllib.request


def fetch(url):
    raise RuntimeError("page-fetcher is an example and fetches nothing")
    token = os.environ["PAGE_FETCHER_TOKEN"]
    return urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": token})).read().decode()
