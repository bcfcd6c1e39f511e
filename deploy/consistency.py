"""What `check` reads in the deployment files: each claim holds, or is printed with what is wrong.

    python3 consistency.py     prints one line a claim: `ok CLAIM` or `not ok CLAIM: WHY`

Files that must agree (ports, limits, names, versions) are compared with each other and with the code.
"""

import re
import sys
import tomllib
import traceback
from pathlib import Path

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parent
CLAIMS = []


def claim(text):
    """A function that raises, or asserts, when the claim does not hold."""

    def keep(function):
        CLAIMS.append((text, function))
        return function

    return keep


def text(name):
    return (HERE / name).read_text()


def limit(name):
    source = (ROOT / "crates/model/src/limits.rs").read_text()
    value = re.search(rf"pub const {name}: \w+ = ([^;]+);", source)[1]
    product = 1
    for factor in value.replace("_", "").split("*"):
        product *= int(factor)
    return product


def seconds(value):
    return int(re.fullmatch(r"(\d+)s", str(value))[1])


def manifests():
    found = []
    for file in sorted(HERE.glob("kubernetes/**/*.yaml")):
        found += [(file.name, one) for one in yaml.safe_load_all(file.read_text())]
    return found


def manifest(kind, name="countersign"):
    for _, one in manifests():
        if one["kind"] == kind and one["metadata"]["name"].startswith(name):
            return one
    raise AssertionError(f"there is no {kind} {name}")


def compose():
    return yaml.safe_load(text("compose/compose.yaml"))


def pods():
    return [manifest(kind)["spec"]["template"]["spec"] for kind in ("Deployment", "Job")]


def unit(name):
    keys = {}
    for line in text(f"systemd/{name}.service").splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            keys.setdefault(key, []).append(value)
    return keys


@claim("every YAML file parses, and repeats no key")
def _():
    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader, node):
        keys = [loader.construct_object(key) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        assert len(keys) == len(set(keys)), f"{node.start_mark.name}: a key twice: {keys}"
        loader.flatten_mapping(node)
        return loader.construct_mapping(node)

    Strict.add_constructor("tag:yaml.org,2002:map", mapping)
    files = [*HERE.glob("**/*.yaml"), *HERE.glob("**/*.yml")]
    assert len(files) >= 7, files
    for file in files:
        with file.open() as stream:
            for _ in yaml.load_all(stream, Strict):
                pass


@claim("every TOML file parses, the one in the ConfigMap included")
def _():
    for name in ("compose/countersign.toml", "systemd/countersign.toml"):
        tomllib.loads(text(name))
    tomllib.loads(manifest("ConfigMap")["data"]["countersign.toml"])


@claim("compose: every service is confined, limited and started again")
def _():
    for name, service in compose()["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"].split(":")[0] not in ("0", "root"), name
        assert service["deploy"]["resources"]["limits"].keys() >= {"cpus", "memory"}, name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name
        assert not service.get("privileged"), name
        assert re.search(r":[\w.${}:-]*\w", service["image"]), f"{name} has no version"


@claim("compose: nothing but nginx has a port of the machine, and the database's network leads nowhere")
def _():
    whole = compose()
    assert [name for name, one in whole["services"].items() if "ports" in one] == ["nginx"]
    assert whole["networks"]["store"]["internal"] is True
    assert list(whole["services"]["db"]["networks"]) == ["store"]
    assert list(whole["services"]["migrate"]["networks"]) == ["store"]


@claim("compose: what a service names is there, and everything that is there is named")
def _():
    whole = compose()
    for kind in ("secrets", "configs"):
        named = set()
        for service in whole["services"].values():
            for one in service.get(kind, []):
                named.add(one if isinstance(one, str) else one["source"])
        assert named == set(whole[kind]), f"{kind}: {named ^ set(whole[kind])}"
    for name, one in whole["configs"].items():
        assert (HERE / "compose" / one["file"]).is_file(), name
    made = text("compose/prepare")
    for name, one in whole["secrets"].items():
        assert one["file"] == f"secrets/{name}" and re.search(rf"\b{name}\b", made), f"prepare makes no {name}"


@claim("compose: a replica sees no secret of the owner, nginx none of the gateway's")
def _():
    services = compose()["services"]
    names = lambda service: {one if isinstance(one, str) else one["source"] for one in services[service]["secrets"]}
    for replica in ("gateway-1", "gateway-2"):
        assert not {name for name in names(replica) if re.search("owner|superuser|hooks|key$", name)} - {"root_key"}
    assert names("nginx") == {"hooks_certificate", "hooks_key"}


@claim("compose: the references of countersign.toml are secrets and variables of each replica")
def _():
    services = compose()["services"]
    source = text("compose/countersign.toml")
    for name in ("gateway-1", "gateway-2", "migrate"):
        secrets = {one if isinstance(one, str) else one["source"] for one in services[name]["secrets"]}
        files = set(re.findall(r"[{:\"]secrets/(\w+)", source))
        assert files <= secrets, f"{name}: {files - secrets}"
        variables = set(re.findall(r"\$\{env:(\w+)\}", source))
        assert variables <= set(services[name]["environment"]), name


@claim("compose: the proxy that is trusted is nginx, and nginx asks the replicas that there are")
def _():
    services = compose()["services"]
    proxy = services["nginx"]["networks"]["front"]["ipv4_address"]
    replicas = sorted(name for name in services if name.startswith("gateway-"))
    for name in replicas:
        assert services[name]["environment"]["COUNTERSIGN_PROXY"] == proxy
        assert services[name]["networks"]["front"]["ipv4_address"] != proxy
    asked = re.findall(r"^server ([\w-]+):8480 ", text("compose/nginx/upstream.conf"), re.M)
    assert sorted(asked) == replicas
    assert services["gateway-1"]["environment"]["COUNTERSIGN_PUBLIC"].endswith(":8480")


@claim("nginx: its limits fit those of the gateway")
def _():
    conf = re.sub(r"#.*", "", text("compose/nginx/nginx.conf"))
    value = lambda key: re.findall(rf"^\s*{key} ([^;]+);", conf, re.M)
    body = limit("BODY_BYTES_MAX")
    assert value("client_max_body_size") == [f"{body >> 20}m"] and body % (1 << 20) == 0
    # Nothing is written to a file.
    assert value("client_body_buffer_size") == value("client_max_body_size")
    http, upstream = value("keepalive_timeout")
    assert seconds(upstream) * 1000 < limit("HEADER_MS_MAX"), upstream
    assert value("proxy_http_version") == ["1.1"]
    assert set(value("proxy_set_header")) >= {
        "Host $host", "X-Forwarded-For $remote_addr", "X-Forwarded-Proto $scheme", 'Connection ""'
    }
    tries, whole = int(value("proxy_next_upstream_tries")[0]), seconds(value("proxy_next_upstream_timeout")[0])
    assert tries == 2 and whole > seconds(value("proxy_read_timeout")[0])


@claim("whoever stops a gateway waits longer than it may take")
def _():
    drain = limit("DRAIN_MS_MAX") / 1000
    for name in ("gateway-1", "gateway-2"):
        assert seconds(compose()["services"][name]["stop_grace_period"]) > drain
    assert seconds(unit("countersign")["TimeoutStopSec"][0]) > drain
    pod = manifest("Deployment")["spec"]["template"]["spec"]
    sleep = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > drain + sleep


@claim("files may be as many as connections")
def _():
    connections = limit("CONNECTIONS_MAX")
    assert int(unit("countersign")["LimitNOFILE"][0]) > connections
    for name in ("gateway-1", "gateway-2"):
        assert compose()["services"][name]["ulimits"]["nofile"]["soft"] > connections


@claim("Kubernetes: pods are as the restricted standard wants them")
def _():
    for pod in pods():
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True and context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not pod.get("hostNetwork") and not pod.get("hostPID")
        for container in pod["containers"]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False and own["readOnlyRootFilesystem"] is True
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"].keys() == {"requests", "limits"}
    labels = manifest("Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@claim("Kubernetes: selectors, ports, mounts and names fit")
def _():
    deployment = manifest("Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    for one in (deployment, manifest("PodDisruptionBudget")["spec"], manifest("NetworkPolicy", "countersign")["spec"]):
        assert (one.get("selector") or one.get("podSelector"))["matchLabels"] == labels
    assert manifest("Service")["spec"]["selector"] == labels
    constraints = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert all(one["labelSelector"]["matchLabels"] == labels for one in constraints)
    ports = {one["name"]: one["containerPort"] for one in deployment["template"]["spec"]["containers"][0]["ports"]}
    server = tomllib.loads(manifest("ConfigMap")["data"]["countersign.toml"])["server"]
    assert {name: int(server[name].rsplit(":", 1)[1]) for name in ports} == ports
    known = {(one["kind"], one["metadata"]["name"]) for _, one in manifests()}
    for pod in pods():
        volumes = {one["name"]: one for one in pod["volumes"]}
        for mount in pod["containers"][0]["volumeMounts"]:
            assert mount.pop("readOnly") is True
            volume = volumes.pop(mount["name"])
            assert not mount["mountPath"].startswith("/run/secrets") or volume["secret"]["defaultMode"] == 0o440
            name = volume.get("configMap", {}).get("name") or volume["secret"]["secretName"]
            assert ("ConfigMap" if "configMap" in volume else "Secret", name) in known
        assert not volumes
    assert all(one["kind"] == "Namespace" or one["metadata"]["namespace"] == "countersign" for _, one in manifests())


@claim("Kubernetes: the references of the configuration are keys of the Secret, and no replica has the owner's")
def _():
    source = manifest("ConfigMap")["data"]["countersign.toml"]
    files = set(re.findall(r"/run/secrets/countersign/(\w+)", source))
    assert files == set(manifest("Secret")["stringData"]), files ^ set(manifest("Secret")["stringData"])
    assert "countersign-owner" not in str(pods()[0]) and "countersign-owner" in str(pods()[1])


@claim("Kubernetes: every made-up secret says so")
def _():
    for _, one in manifests():
        for key, value in one.get("stringData", {}).items():
            assert "MADE-UP" in value or set(value.removeprefix("cs_root_")) == {"A"}, key


@claim("the version and the Rust of the files are those of Cargo.toml")
def _():
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
    for pod in pods():
        assert pod["containers"][0]["image"].endswith(f":{package['version']}"), pod["containers"][0]["image"]
    assert manifest("Job")["metadata"]["name"].endswith(package["version"].replace(".", "-"))
    assert f"rust:{package['rust-version']}-" in text("Containerfile")


@claim("Containerfile: what it copies is there, its last stage is empty but for one copy, and is no root's")
def _():
    lines = re.sub(r"\\\n\s*", "", text("Containerfile")).splitlines()
    stages = [index for index, line in enumerate(lines) if line.startswith("FROM ")]
    last = [line for line in lines[stages[-1] :] if line and not line.startswith("#")]
    assert last[0] == "FROM scratch" and [line for line in last if line.startswith("COPY ")] == [
        "COPY --from=build /rootfs /"
    ]
    assert "USER 65532:65532" in last and not any(line.startswith(("RUN ", "ADD ")) for line in lines[stages[-1] :])
    for line in lines[: stages[-1]]:
        if line.startswith("COPY "):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
    members = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"]
    copied = " ".join(lines)
    assert all(f"COPY {member.split('/')[0]} " in copied for member in members), members


@claim("systemd: both units are confined alike, and the owner's URL is in one only")
def _():
    one, other = unit("countersign"), unit("countersign-migrate")
    confining = [key for key in one if re.match("Protect|Private|Restrict[^P]|System|Capab|NoNew|Memory|Lock|Limit.*CORE", key)]
    assert len(confining) > 20
    for key in confining:
        assert key == "MemoryMax" or one[key] == other[key], key
    assert not any("owner" in value for value in one["LoadCredential"])


@claim("paths that the documents name are there")
def _():
    for name in ("deployment", "scaling"):
        document = (ROOT / f"docs/{name}.md").read_text()
        for path in re.findall(r"\bdeploy/[\w./-]+\w", document):
            assert (ROOT / path).exists(), f"docs/{name}.md: {path}"


def main():
    for name, function in CLAIMS:
        try:
            function()
            print(f"ok {name}")
        except Exception as error:
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__} "
            here = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == __file__]
            print(f"not ok {name}: {kind}{error} (line {here[-1]} of consistency.py)")


if __name__ == "__main__":
    sys.exit(main())
