"""Runs the call table's lab on Sallyport: one `sallyport proxy` in each pod, on the embedded data plane or on Envoy.

Environment: SALLYPORT_ENGINE=embedded|envoy (embedded), SALLYPORT_ENVOY=path of Envoy's binary (only for envoy),
SALLYPORT_NODE=Node's binary (the one that the package pins).
"""
import json, os, shutil, subprocess
from concurrent.futures import ThreadPoolExecutor
import infra
from topology import LOG_FIELDS, PROXIED, RUN

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NODE = os.environ.get("SALLYPORT_NODE") or f"{ROOT}/node_modules/node/bin/node"
ENGINE = os.environ.get("SALLYPORT_ENGINE", "embedded")
FILES = f"{RUN}/sallyport"          # what the proxies read: 00-fixed.yaml, 10-case.yaml; the order is the objects' age
MESH = f"{RUN}/sallyport-mesh.json"
CA = f"{RUN}/sallyport-ca/ca"        # made by the first proxy, for all of them
STATUS = 15021

# Envoy drains connections that were opened under another policy for some seconds, and answers on them by that one.
POLICIES = ("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication")

started = set()
before = {"config": ""}


def start_proxy(pod):
    """The proxies start with the first case: there is nothing to serve before."""
    started.add(pod.name)


def spawn(pod):
    argv = [NODE, f"{ROOT}/bin/sallyport.js", "proxy", "--role", pod.kind, "--workload", f"{pod.ns}/{pod.name}", "--mesh-config", MESH, "--ca", CA,
            "--status-address", f"127.0.0.1:{STATUS}", "--no-watch", "--concurrency", "1", "--grace", "200ms", "--engine", ENGINE]
    if ENGINE == "envoy":
        argv += ["--envoy", os.environ.get("SALLYPORT_ENVOY") or shutil.which("envoy") or "envoy"]
    infra.spawn_in_pod(process(pod), pod, [*argv, FILES], pod.access_log, env=dict(os.environ, HOME="/nonexistent"))


def process(pod):
    return f"sallyport-{pod.name}"


def ask(pod, method, path):
    """-> status and JSON of the proxy's status server, or None while it does not answer"""
    out = subprocess.run(["ip", "netns", "exec", pod.netns, "curl", "-s", "-m", "60", "-X", method, "-w", "\n%{http_code}",
                          f"http://127.0.0.1:{STATUS}{path}"], capture_output=True, text=True)
    if out.returncode:
        return None
    body, code = out.stdout.rsplit("\n", 1)
    return int(code), json.loads(body) if body.strip() else None


def bring_up(pod):
    """-> what is in force at this pod, once it is what the files say now"""
    if not infra.alive(process(pod)):
        spawn(pod)

        def ready():
            if not infra.alive(process(pod)):
                return "ended"
            answer = ask(pod, "GET", "/status")
            return answer if answer and answer[0] == 200 else None
        answer = infra.wait_for(f"{pod.name} to serve", ready, 60, 0.05)
        if answer == "ended":
            raise RuntimeError(f"the proxy of {pod.name} ended, see {pod.access_log}.err")
    else:
        answer = ask(pod, "POST", "/reload")
        if not answer or answer[0] != 200:
            raise RuntimeError(f"{pod.name} did not reload: {answer}")
    return answer[1]


def write(path, text):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.chmod(path + ".new", 0o644)
    os.rename(path + ".new", path)


def apply(config, mesh, fixed):
    os.makedirs(FILES, exist_ok=True)
    if ENGINE == "envoy" and any(kind in before["config"] + (config or "") for kind in POLICIES):
        infra.stop_all([process(p) for p in PROXIED])
    before["config"] = config or ""
    # The proxies run as a user of their own.
    os.makedirs(os.path.dirname(CA), exist_ok=True)
    os.chmod(os.path.dirname(CA), 0o777)
    with open(fixed) as f:
        write(f"{FILES}/00-fixed.yaml", f.read())
    write(f"{FILES}/10-case.yaml", config or "")
    # What the lab compares the way through the proxies by.
    write(MESH, json.dumps({"accessLogFormat": json.dumps(LOG_FIELDS)} | mesh))
    with ThreadPoolExecutor() as pool:
        states = list(pool.map(bring_up, [p for p in PROXIED if p.name in started]))
    if os.environ.get("SALLYPORT_LAB_VERBOSE"):
        for state in states:
            for proxy in state["proxies"]:
                for refusal in proxy["refusals"]:
                    print(f"       {proxy['name']}: {refusal['resource']}: {refusal['message']}", flush=True)


def remove(config):
    """The next case replaces the files."""


def stop():
    infra.stop_all([process(p) for p in PROXIED])
    shutil.rmtree(FILES, ignore_errors=True)
    shutil.rmtree(os.path.dirname(CA), ignore_errors=True)
