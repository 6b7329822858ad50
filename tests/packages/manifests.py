"""Checks the manifests below packaging/, see the script `manifests` beside this file.

usage: manifests.py SCHEMA MUSTER: the JSON Schema of compose files, and the program."""

import json
import pathlib
import subprocess
import sys

import jsonschema
import yaml

PACKAGING = pathlib.Path(__file__).resolve().parents[2] / "packaging"
schema, muster = sys.argv[1:]
USER = 65532


def check(holds, what):
    if not holds:
        sys.exit(f"tests/packages/manifests.py: {what}")


def accepts(arguments, environment):
    """Whether the program knows such a command, and each setting exists."""
    known = subprocess.run([muster, *arguments, "--help"], capture_output=True, text=True)
    check(known.returncode == 0, f"muster {' '.join(arguments)}: {known.stderr}")
    settings = (PACKAGING.parent / "docs/settings.md").read_text()
    for name in environment:
        check(f"| `{name}` |" in settings, f"{name} is no setting")


def compose():
    text = (PACKAGING / "compose/compose.yaml").read_text()
    project = yaml.safe_load(text)
    # Debian's schema is of 2021, and this is newer.
    project.pop("name")
    error = next(jsonschema.Draft7Validator(json.load(open(schema))).iter_errors(project), None)
    check(error is None, f"compose.yaml: {error and error.json_path}: {error and error.message}")
    services = project["services"]
    ours = {name: service for name, service in services.items() if service["image"].startswith("muster:")}
    check(sorted(ours) == ["migrate", "muster-1", "muster-2"], f"the services of Muster are {sorted(ours)}")
    for name, service in ours.items():
        accepts(service.get("command", ["serve"]), service["environment"])
        check(service["read_only"] and service["cap_drop"] == ["ALL"], f"{name} may do more than it needs")
        check("no-new-privileges:true" in service["security_opt"], f"{name} may get more rights")
        if name != "migrate":
            check(service["depends_on"]["migrate"]["condition"] == "service_completed_successfully", name)
            _, program, *arguments = service["healthcheck"]["test"]
            check(program == "/usr/bin/muster", f"{name} is checked by {program}")
            accepts(arguments, [])
    volumes = [service["volumes"][0] for name, service in ours.items() if name != "migrate"]
    check(len(set(volumes)) == 2, "the replicas share a data folder")
    check(services["migrate"]["restart"] == "on-failure", "the migration would be repeated for ever")
    proxy = services["proxy"]["environment"]["MUSTER_REPLICAS"].split()
    check(proxy == ["muster-1:8080", "muster-2:8080"], f"the proxy has the replicas {proxy}")
    network = project["networks"]["default"]["ipam"]["config"][0]["subnet"]
    check(ours["muster-1"]["environment"]["MUSTER_TRUSTED_PROXIES"] == network, "the proxy is not trusted")


def kubernetes():
    found = {}
    for file in sorted((PACKAGING / "kubernetes").glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            found[document["kind"]] = document
    job, server = found["Job"], found["StatefulSet"]
    images = set()
    for document in [job, server]:
        pod = document["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        images.add(container["image"])
        accepts(container.get("args", ["serve"]), [variable["name"] for variable in container["env"]])
        check(pod["securityContext"]["runAsUser"] == USER and pod["securityContext"]["runAsNonRoot"], "its user")
        may = container["securityContext"]
        check(may["readOnlyRootFilesystem"] and not may["allowPrivilegeEscalation"], "it may do more than it needs")
        check(may["capabilities"] == {"drop": ["ALL"]}, "it has capabilities")
        check(not pod["automountServiceAccountToken"], "it could talk to the cluster")
        check(pod["volumes"][0]["secret"]["defaultMode"] == 0o440, "others could read its secrets")
    check(len(images) == 1, f"the migration and the server are of different versions: {images}")
    check(job["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate"], "the job does not migrate")
    (container,) = server["spec"]["template"]["spec"]["containers"]
    paths = {probe: container[probe]["httpGet"]["path"] for probe in container if probe.endswith("Probe")}
    wanted = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    check(paths == wanted, f"the probes ask for {paths}")
    # /readyz takes up to two seconds when the database does not answer.
    check(container["readinessProbe"]["timeoutSeconds"] > 2, "the readiness probe gives up too early")
    pods = server["spec"]["template"]["metadata"]["labels"]
    for kind, selector in [
        ("StatefulSet", server["spec"]["selector"]["matchLabels"]),
        ("Service", found["Service"]["spec"]["selector"]),
        ("PodDisruptionBudget", found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]),
    ]:
        check(selector.items() <= pods.items(), f"{kind} selects other pods")
        jobs = job["spec"]["template"]["metadata"]["labels"]
        check(not selector.items() <= jobs.items(), f"{kind} selects the migration, too")
    check(server["spec"]["replicas"] > found["PodDisruptionBudget"]["spec"]["maxUnavailable"], "all may be drained")


compose()
kubernetes()
