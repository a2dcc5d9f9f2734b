"""kubernetes.yaml is what Kubernetes and the Dask operator take, and its commands run.

There is no Kubernetes here, so its parts are asked one by one: the operator's own definition of a
DaskCluster, the operator's own functions that turn one into deployments, Kubernetes' schemas for
these, and Dask for the commands of the containers.
"""

from __future__ import annotations

import copy
import functools
import importlib
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from commands import as_here, cluster_of, free_ports, run_on
from dask.utils import parse_bytes
from jsonschema import Draft202012Validator

FILE = Path(__file__).resolve().parents[2] / "cluster_configs" / "kubernetes.yaml"
CHART = "operator/deployment/helm/dask-kubernetes-operator/crds"


def documents():
    return {one["kind"]: one for one in yaml.safe_load_all(FILE.read_text())}


@pytest.fixture
def cluster():
    return documents()["DaskCluster"]


def pod_of(cluster, role):
    return cluster["spec"][role]["spec"]


def container_of(cluster, role):
    (found,) = pod_of(cluster, role)["containers"]
    return found


def environment_of(container):
    return {one["name"]: one["value"] for one in container["env"]}


# What the operator's definitions (CRDs) say.


def strict(schema):
    """JSON schema of an openAPIV3Schema that refuses what Kubernetes would drop in silence.

    Kubernetes prunes fields that a definition does not name, unless it says that it keeps them;
    what that would do to a misspelt field is what a test wants to know.
    """
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    named = {"properties", "patternProperties"}
    made = {
        key: {name: strict(one) for name, one in value.items()} if key in named else strict(value)
        for key, value in schema.items()
        if key not in {"default", "example", "enum", "required"}
    }
    made |= {key: schema[key] for key in ("enum", "required") if key in schema}
    if schema.get("x-kubernetes-embedded-resource"):
        made["properties"] = {"apiVersion": {}, "kind": {}, "metadata": {}} | made.get(
            "properties", {}
        )
    keeps = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if schema.get("type") == "object" and not keeps:
        made["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    if schema.get("nullable") and "type" in made:
        kinds = made["type"] if isinstance(made["type"], list) else [made["type"]]
        made["type"] = [*kinds, "null"]
    return made


@functools.cache
def definition(kind):
    """The schema of one of the operator's kinds, as the chart that installs it has it."""
    found = find_spec("dask_kubernetes")
    if found is None:
        pytest.skip("the package dask-kubernetes is not installed")
    text = (Path(found.origin).parent / CHART / f"{kind.lower()}.yaml").read_text()
    crd = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    assert crd["spec"]["names"]["kind"] == kind
    (version,) = (one for one in crd["spec"]["versions"] if one["name"] == "v1" and one["served"])
    schema = strict(version["schema"]["openAPIV3Schema"])
    # What every object has, and no definition names.
    schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {}}
    Draft202012Validator.check_schema(schema)
    return crd["spec"]["group"], schema


def complaints(kind, content):
    group, schema = definition(kind)
    assert content["apiVersion"] == f"{group}/v1"
    return [
        f"{one.json_path}: {one.message}"
        for one in Draft202012Validator(schema).iter_errors(content)
    ]


def test_operator_takes_the_cluster(cluster):
    assert complaints("DaskCluster", cluster) == []


PLANTED = {
    "misspelt": (
        lambda pod: pod["containers"][0].update(imagePullPolcy="Always"),
        "imagePullPolcy",
    ),
    "no name": (lambda pod: pod["containers"][0].pop("name"), "name"),
    "no containers": (lambda pod: pod.pop("containers"), "containers"),
    "port as text": (
        lambda pod: pod["containers"][0].update(ports=[{"containerPort": "8786"}]),
        "8786",
    ),
    "number in the environment": (
        lambda pod: pod["containers"][0]["env"].append({"name": "OMP_NUM_THREADS", "value": 1}),
        "is not of type 'string'",
    ),
    "volume of an unknown kind": (
        lambda pod: pod["volumes"].append({"name": "more", "emptyDirectory": {}}),
        "emptyDirectory",
    ),
}


@pytest.mark.parametrize("role", ["scheduler", "worker"])
@pytest.mark.parametrize("planted", PLANTED)
def test_planted_error_is_found(cluster, role, planted):
    plant, said = PLANTED[planted]
    plant(pod_of(cluster, role))
    found = complaints("DaskCluster", cluster)
    assert found
    assert any(said in one for one in found), found


@pytest.mark.parametrize("path", ["scheduler", "worker", "scheduler.service", "worker.spec"])
def test_missing_part_is_found(cluster, path):
    *parents, last = path.split(".")
    place = cluster["spec"]
    for one in parents:
        place = place[one]
    del place[last]
    assert any(
        f"'{last}' is a required property" in one for one in complaints("DaskCluster", cluster)
    )


def test_numbers_are_refused_where_the_operator_wants_text(cluster):
    container = container_of(cluster, "scheduler")
    container["readinessProbe"]["httpGet"]["port"] = 8787
    container["resources"]["requests"]["cpu"] = 1
    found = complaints("DaskCluster", cluster)
    assert any("readinessProbe" in one and "8787" in one for one in found)
    assert any("requests.cpu" in one for one in found)
    assert len(found) == 2
    # Kubernetes itself would take them.
    check_with_kubernetes(made_by_the_operator(cluster)["scheduler"])


def test_strict_schema_keeps_what_kubernetes_keeps():
    schema = strict(
        {
            "type": "object",
            "properties": {
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "port": {"x-kubernetes-int-or-string": True},
                "maybe": {"type": "string", "nullable": True},
                "pruned": {"type": "object"},
                "items": {"type": "array", "items": {"type": "object", "properties": {"x": {}}}},
            },
        }
    )
    takes = Draft202012Validator(schema).is_valid
    assert takes({"free": {"a": 1}, "labels": {"b": "c"}, "maybe": None, "items": [{"x": 1}]})
    assert takes({"port": 80})
    assert takes({"port": "http"})
    for wrong in (
        {"labels": {"b": 1}},
        {"port": 1.5},
        {"maybe": 1},
        {"pruned": {"a": 1}},
        {"items": [{"y": 1}]},
        {"more": 1},
    ):
        assert not takes(wrong), wrong


# What the operator makes of it, and what Kubernetes says to that.


def made_by_the_operator(cluster):
    """All that the operator creates for the cluster, by its own functions."""
    if find_spec("dask_kubernetes") is None:
        pytest.skip("the package dask-kubernetes is not installed")
    operator = importlib.import_module("dask_kubernetes.operator.controller.controller")
    name, spec = cluster["metadata"]["name"], cluster["spec"]
    importlib.import_module("dask_kubernetes.operator.validation").validate_cluster_name(name)
    group = operator.build_default_worker_group_spec(name, spec["worker"], {}, {})
    return {
        "scheduler": operator.build_scheduler_deployment_spec(
            name, spec["scheduler"]["spec"], {}, {}
        ),
        "service": operator.build_scheduler_service_spec(
            name, spec["scheduler"]["service"], {}, {}
        ),
        "group": group,
        "worker": operator.build_worker_deployment_spec(
            worker_group_name=group["metadata"]["name"],
            namespace="default",
            cluster_name=name,
            uuid="0123456789",
            pod_spec=group["spec"]["worker"]["spec"],
            annotations={},
            labels={},
        ),
    }


def check_with_kubernetes(content):
    """Raise what Kubernetes' own schema of a kind says, unknown fields included."""
    if find_spec("kubernetes_validate") is None:
        pytest.skip("the package kubernetes-validate is not installed")
    checks = importlib.import_module("kubernetes_validate")
    checks.validate(content, checks.latest_version(), strict=True)


def is_refused(content):
    try:
        check_with_kubernetes(content)
    except importlib.import_module("kubernetes_validate").ValidationError:
        return True
    return False


def test_kubernetes_takes_what_the_operator_makes(cluster):
    made = made_by_the_operator(cluster)
    assert complaints("DaskWorkerGroup", made["group"]) == []
    for part in ("scheduler", "service", "worker"):
        check_with_kubernetes(made[part])


@pytest.mark.parametrize("kind", ["PersistentVolumeClaim", "NetworkPolicy"])
def test_kubernetes_takes_the_other_documents(kind):
    check_with_kubernetes(documents()[kind])


def test_no_document_is_left_unchecked():
    # A kind that comes twice would hide the first.
    kinds = [one["kind"] for one in yaml.safe_load_all(FILE.read_text())]
    assert sorted(kinds) == ["DaskCluster", "NetworkPolicy", "PersistentVolumeClaim"]


@pytest.mark.parametrize("role", ["scheduler", "worker"])
@pytest.mark.parametrize("planted", PLANTED)
def test_kubernetes_finds_a_planted_error(cluster, role, planted):
    plant, _ = PLANTED[planted]
    made = made_by_the_operator(cluster)
    broken = copy.deepcopy(made[role])
    plant(broken["spec"]["template"]["spec"])
    assert is_refused(broken)


def test_kubernetes_finds_an_error_in_the_claim_and_the_policy():
    found = documents()
    found["PersistentVolumeClaim"]["spec"]["accessModes"] = "ReadWriteMany"
    found["NetworkPolicy"]["spec"]["ingres"] = []
    for kind in ("PersistentVolumeClaim", "NetworkPolicy"):
        assert is_refused(found[kind])


def selects(selector, labels):
    return all(labels.get(name) == value for name, value in selector.items())


def test_names_and_labels_fit_together(cluster):
    made = made_by_the_operator(cluster)
    labels = {
        role: made[role]["spec"]["template"]["metadata"]["labels"]
        for role in ("scheduler", "worker")
    }
    # The service finds the scheduler alone, the policy both.
    assert selects(made["service"]["spec"]["selector"], labels["scheduler"])
    assert not selects(made["service"]["spec"]["selector"], labels["worker"])
    policy = documents()["NetworkPolicy"]["spec"]
    among_themselves = policy["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    for role in ("scheduler", "worker"):
        assert selects(policy["podSelector"]["matchLabels"], labels[role])
        assert selects(among_themselves, labels[role])
    # The comments of the file use these names.
    text = FILE.read_text()
    assert f"service/{made['service']['metadata']['name']} " in text
    assert f"daskworkergroup {made['group']['metadata']['name']}\n" in text
    assert f"tls://{made['service']['metadata']['name']}:8786" in text


def test_ports_and_probes_name_the_scheduler_s_ports(cluster):
    container = container_of(cluster, "scheduler")
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    # The operator asks the service for these.
    assert ports == {"tcp-comm": 8786, "http-dashboard": 8787}
    service = cluster["spec"]["scheduler"]["service"]
    assert service["type"] == "ClusterIP"
    for port in service["ports"]:
        assert ports[port["targetPort"]] == port["port"]
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/health", "port": "http-dashboard"}


@pytest.mark.parametrize("role", ["scheduler", "worker"])
def test_mounts_are_of_volumes_and_pods_have_no_rights(cluster, role):
    pod, container = pod_of(cluster, role), container_of(cluster, role)
    volumes = {one["name"]: one for one in pod["volumes"]}
    assert {one["name"] for one in container["volumeMounts"]} == set(volumes)
    claim = documents()["PersistentVolumeClaim"]["metadata"]["name"]
    assert volumes["shared"]["persistentVolumeClaim"]["claimName"] == claim
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 1000
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_pod_s_memory_leaves_room_for_the_nanny(cluster):
    container = container_of(cluster, "worker")
    limit = parse_bytes(argument(container["args"], "--memory-limit"))
    memory = {
        kind: parse_bytes(container["resources"][kind]["memory"] + "B")
        for kind in ("requests", "limits")
    }
    assert memory["requests"] == memory["limits"] == limit + 512 * 2**20
    assert argument(container["args"], "--nthreads") == "1"


def argument(command, name):
    return command[command.index(name) + 1]


@pytest.mark.slow
@pytest.mark.cluster
def test_commands_of_the_pods_carry_a_run(cluster, faces_csv, tmp_path, clean_environment):
    port, dashboard = free_ports(2)
    address = f"tcp://127.0.0.1:{port}"
    container = container_of(cluster, "worker")
    # Only what Dask reads: the store is the test's own.
    environment = {
        **clean_environment,
        **environment_of(container_of(cluster, "scheduler")),
        "OMP_NUM_THREADS": environment_of(container)["OMP_NUM_THREADS"],
        "DASK_SCHEDULER_ADDRESS": address,
    }
    scheduler = as_here(
        [*container_of(cluster, "scheduler")["args"], "--host", "127.0.0.1"],
        {"8786": str(port), ":8787": f"127.0.0.1:{dashboard}"},
    )
    workers = [
        as_here(
            [*container["args"], "--host", "127.0.0.1"],
            {"$(DASK_WORKER_NAME)": f"worker-{number}", "/scratch": str(tmp_path / str(number))},
        )
        for number in range(cluster["spec"]["worker"]["replicas"])
    ]
    with cluster_of(scheduler, workers, address, tmp_path, environment) as known:
        assert sorted(one["id"] for one in known.values()) == ["worker-0", "worker-1"]
        assert {one["nthreads"] for one in known.values()} == {1}
        assert {one["memory_limit"] for one in known.values()} == {2 * 2**30}
        metrics = run_on(faces_csv, tmp_path, environment, "--scheduler", address)
        assert metrics["rows"]["read"] == 1800
