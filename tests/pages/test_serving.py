"""Pages that are served: what they show while a run goes on, and who may see them."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from made_runs import made_run
from playwright.sync_api import expect

from orchestrator.memory.usage import UsageStore

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "</strong></a></title></svg><svg onload=\"document.title='owned'\">\" onclick=\"document.title='owned'"
)
COMMAND = (sys.executable, "-P", "-m", "orchestrator")


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass
class Served:
    """A server of a workspace's pages, and its address."""

    process: subprocess.Popen[str]
    address: str

    @property
    def port(self) -> int:
        return urlsplit(self.address).port or 0

    @property
    def path(self) -> str:
        return urlsplit(self.address).path

    def get(self, path: str, method: str = "GET", **headers: str) -> Reply:
        """Asks for a path as it stands; nothing in between makes it tidy."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.putrequest(method, path, skip_host="Host" in headers)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            reply = connection.getresponse()
            return Reply(reply.status, reply.headers, reply.read())

    def status(self, path: str, method: str = "GET", **headers: str) -> int:
        return self.get(path, method, **headers).status


@pytest.fixture
def env(tmp_path_factory):
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(tmp_path_factory.mktemp("home")), "COLUMNS": "80"}


@pytest.fixture
def served(tmp_path, env):
    """Serves the pages of `tmp_path`."""
    (tmp_path / "memory").mkdir()
    with serving(tmp_path, env) as found:
        yield found


@contextlib.contextmanager
def serving(folder, env, *options):
    command = [*COMMAND, "view", "--serve", "--workspace", str(folder), *options]
    process = subprocess.Popen(
        command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    with process:
        try:
            yield Served(process, process.stdout.readline().strip())
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture
def begin(tmp_path, env):
    """Begins a run of cells in `tmp_path`; ended with the test."""
    (tmp_path / "job.md").write_text("")
    with contextlib.ExitStack() as runs:

        def begin_run(*cells):
            blocks = "\n\n".join(f"```repl\n{cell}\n```" for cell in cells)
            path = tmp_path / "job.md"
            head = (
                "---\nname: job\ndescription: A test.\npermissions: {read: ['.']}\n---\n# Job\n\nDo it.\n\n"
            )
            path.write_text(f"{head}{blocks}\n")
            command = [*COMMAND, str(path), "--workspace", str(tmp_path), "--yes"]
            process = runs.enter_context(subprocess.Popen(
                command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
            ))  # fmt: skip
            runs.callback(lambda: process.poll() is None and os.killpg(process.pid, signal.SIGKILL))
            return process

        yield begin_run


def waiting(tmp_path, name):
    path = tmp_path / name
    return f"import os, time\nwhile not os.path.exists({str(path)!r}):\n    time.sleep(0.02)\nprint('saw {name}')"


def test_a_page_follows_a_run_without_being_loaded_again(served, opened, begin, tmp_path):
    found = opened(served.address)
    page = found.page
    assert page.locator(".empty").inner_text().startswith("No workflow was run here yet.")
    begin(waiting(tmp_path, "one"), waiting(tmp_path, "two"), "FINAL('done')")
    page.locator(".runs a").click()  # it appears by itself
    page.evaluate("window.same = true")
    expect(page.locator("#status")).to_have_text("running")
    expect(page.locator("#state")).to_have_text("● live")
    (tmp_path / "one").touch()
    expect(page.locator("#detail .output").first).to_have_text("saw one", timeout=15_000)
    expect(page.locator("#status")).to_have_text("running")
    (tmp_path / "two").touch()
    expect(page.locator("#status")).to_have_text("answered", timeout=15_000)
    expect(page.locator("#state")).to_have_text("")
    assert page.locator(".answer").inner_text().endswith("done")
    assert page.evaluate("window.same") is True
    page.click("a:has-text('Runs')")
    expect(page.locator(".runs .badge")).to_have_text("answered")
    assert found.complaints == []
    assert all(urlsplit(request.url).port == served.port for request in found.requests)


def test_calls_that_are_made_appear_in_their_place(served, opened, tmp_path):
    from orchestrator.runs.journal import Journal

    folder = tmp_path / "memory/runs/20261126-120000-abcdef"
    folder.mkdir(parents=True)
    begun = {"kind": "skill", "arguments": {}, "depth": 1}
    ended = {"outcome": "ok", "error": None, "duration_s": 0.1, "calls": 0, "tokens": 0, "usd": 0.0}
    with Journal(folder, folder.name) as journal:
        journal.append("run_started", "0", workflow="w", path="w.md", version="0" * 64, environment="confined", covers="", limits={},
            strategies=["written"], models={}, skills={}, source="# w\n", inputs={}, budget={}, strategy=None, accepts_prices=True,
            seed=1, process={"pid": 1, "began": "0"})  # fmt: skip
        journal.append("call_started", "0", parent=None, kind="root", name="w", arguments={}, depth=0)
        journal.append("call_started", "0.1", parent="0", name="first", **begun)
        page = opened(f"{served.address}runs/{folder.name}/").page
        names = page.locator("[role=treeitem] .name")
        assert names.all_inner_texts() == ["w", "first()"]
        expect(page.locator("#state")).to_have_text("● live")
        journal.append("call_started", "0.2", parent="0", name="second", **begun)
        expect(names).to_have_text(["w", "first()", "second()"], timeout=15_000)
        journal.append("call_started", "0.1.1", parent="0.1", name="inner<b>", **begun)
        expect(names).to_have_text(["w", "first()", "inner<b>()", "second()"], timeout=15_000)
        journal.append("call_finished", "0.1", value=1, **ended)
        expect(page.locator("[role=treeitem]").nth(1).locator(".sign")).to_have_text("✓", timeout=15_000)


def test_the_page_of_what_was_learned_follows_the_record_and_new_skills(served, opened, tmp_path):
    page = opened(f"{served.address}learning").page
    expect(page.locator("#state")).to_have_text("● live")
    UsageStore(tmp_path).record(
        run="r", call="0", workflow="note", strategy="written", outcome="ok", verdict="expr"
    )
    expect(page.locator("h2").first).to_have_text("note", timeout=15_000)
    page.locator("summary:has-text('never called')").click()
    skill = tmp_path / "skills" / "brand-new"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text("---\nname: brand-new\ndescription: New.\n---\n")
    expect(page.locator(".unused code", has_text="brand-new")).to_be_visible(timeout=15_000)  # still unfolded


def test_a_page_that_nobody_looks_at_catches_up_when_it_is_seen_again(served, opened, tmp_path):
    """A browser gives one server six connections; what is hidden must not hold one."""
    page = opened(f"{served.address}learning").page
    expect(page.locator("#state")).to_have_text("● live")
    turn = "Object.defineProperty(document, 'visibilityState', {value: '%s', configurable: true}); document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(turn % "hidden")
    expect(page.locator("#state")).to_have_text("○ paused")
    UsageStore(tmp_path).record(run="r", call="0", workflow="note", strategy="written", outcome="ok")
    page.evaluate(turn % "visible")
    expect(page.locator("h2").first).to_have_text("note", timeout=15_000)
    expect(page.locator("#state")).to_have_text("● live")


def test_names_in_the_list_stay_text(served, opened, tmp_path):
    made_run(tmp_path / "memory/runs", 2, HOSTILE)
    found = opened(served.address)
    page = found.page
    assert "<img src=x onerror=" in page.locator(".runs strong").inner_text()
    page.locator(".runs a").click()
    expect(page.locator("#workflow")).to_contain_text("<img src=x onerror=")
    page.go_back()
    UsageStore(tmp_path).record(run="r", call="0", workflow=HOSTILE, strategy=HOSTILE, outcome="ok")
    page.click("a:has-text('What was learned')")
    expect(page.locator("h2").first).to_contain_text("<img src=x onerror=")
    assert page.locator("img, iframe, [onload], [onclick], [onerror]").count() == 0
    assert page.title() == f"Learned · {tmp_path.name}"
    assert found.complaints == []


def test_only_who_has_the_whole_address_is_answered(served, tmp_path):
    run = made_run(tmp_path / "memory/runs", 2).name
    token = served.path.strip("/")
    wrong = [
        "/",
        "",
        "/x/",
        f"/{token[:-1]}/",
        f"/{token}x/",
        f"/{'a' * len(token)}/",
        "/learning",
        f"/runs/{run}/",
        "/%ff/",
        f"//{token}/",
        "/%c3%a9/",
    ]
    for path in wrong:
        assert served.status(path or "/") == 403, path
    assert served.status(f"/{token}/") == 200
    assert served.status(f"/{token}/runs/{run}/") == 200
    assert served.status(f"/{token}/learning") == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "",
        "127.0.0.1.evil.example:{port}",
        "[::1]:{port}",
    ],
)
def test_a_name_of_somebody_else_that_leads_here_is_refused(host, served):
    assert served.status(served.path, Host=host.format(port=served.port)) == 403
    assert served.status(served.path, Host=f"LocalHost:{served.port}") == 200


def test_nothing_beside_the_runs_can_be_read(served, tmp_path):
    run = made_run(tmp_path / "memory/runs", 2, "0123456789" * 10_000)
    (tmp_path / "memory/secret.txt").write_text("secret")
    (tmp_path / "memory/runs/journal.jsonl").write_text("{}\n")
    outside = tmp_path / "journal.jsonl"
    outside.write_text("{}\n")
    blob = next((run / "blobs").iterdir())
    (run / "blobs" / ("a" * 64)).symlink_to(tmp_path / "memory/secret.txt")
    start = f"{served.path}runs"
    paths = [
        f"{start}/../", f"{start}/%2e%2e/", f"{start}/..%2f/", f"{start}/..%2F../", f"{start}/./", f"{start}/%2e/", f"{start}/.hidden/",
        f"{start}/{run.name}/../../", f"{start}/{run.name}/blobs/../journal.jsonl", f"{start}/{run.name}/blobs/..%2fjournal.jsonl",
        f"{start}/{run.name}/blobs/%2e%2e%2f%2e%2e%2f%2e%2e%2fsecret.txt", f"{start}/{run.name}/blobs/{'a' * 64}", f"{start}/{run.name}/blobs/{'b' * 64}",
        f"{start}/{run.name}%00/", f"{start}/no-such-run/", f"{start}/no-such-run/events", f"{start}/{run.name}/journal.jsonl",
        f"{served.path}../memory/secret.txt", f"{served.path}/etc/passwd",
    ]  # fmt: skip
    found = {path: served.get(path) for path in paths}
    assert {path: reply.status for path, reply in found.items() if reply.status not in (403, 404)} == {}
    assert not any(b"secret" in reply.body for reply in found.values())
    reply = served.get(f"{start}/{run.name}/blobs/{blob.name}")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert reply.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert reply.body == blob.read_bytes()


def test_requests_of_odd_forms_are_answered_and_say_nothing_on_the_terminal(served, tmp_path):
    run = made_run(tmp_path / "memory" / "runs", 5).name
    assert [served.status("*", "OPTIONS"), served.status("x:80", "CONNECT")] == [403, 403]
    assert served.status(f"{served.path}runs/{run}/events?after={'9' * 5000}") == 200
    served.process.terminate()
    assert served.process.stderr.read().count("\n") == 1


def test_no_other_site_is_let_in_and_nothing_can_be_changed(served):
    for path in (served.path, "/"):
        reply = served.get(path, Origin="http://evil.example")
        assert not [name for name in reply.headers if name.lower().startswith("access-control-")]
        assert {name: reply.headers[name] for name in ("Cross-Origin-Resource-Policy", "Referrer-Policy", "X-Content-Type-Options", "X-Frame-Options", "Cache-Control")} == {
            "Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY", "Cache-Control": "no-store",
        }  # fmt: skip
        assert "frame-ancestors 'none'" in reply.headers["Content-Security-Policy"]
        assert "Set-Cookie" not in reply.headers
    assert {
        method: served.status(served.path, method) for method in ("POST", "PUT", "DELETE", "OPTIONS")
    } == dict.fromkeys(("POST", "PUT", "DELETE", "OPTIONS"), 405)


def test_it_listens_on_this_machine_alone(served):
    """Linux answers at every address of 127.0.0.0/8, and no other one than ours is bound."""
    for family, host in ((socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as other:
            other.settimeout(5)
            assert other.connect_ex((host, served.port)) != 0


def test_a_second_server_on_the_port_says_so_and_the_first_goes_on(served, tmp_path, env):
    command = [*COMMAND, "view", "--serve", "--workspace", str(tmp_path), "--port", str(served.port)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr == (
        f"error: can't serve on port {served.port}: another program listens there already\n"
        "hint: stop it, name another port with --port N, or leave --port away for one that is free\n"
    )
    assert served.status(served.path) == 200


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_ends_when_it_is_told_to_also_with_a_page_open(number, code, served, opened):
    page = opened(served.address).page
    expect(page.locator("#state")).to_have_text("● live")
    served.process.send_signal(number)
    assert served.process.wait(timeout=20) == code
    expect(page.locator("#state")).to_have_text("○ not live: no answer from the server")
    assert (
        served.process.stderr.read()
        == "open it in a browser of this machine; who has the address sees all runs; Ctrl-C ends it\n"
    )
