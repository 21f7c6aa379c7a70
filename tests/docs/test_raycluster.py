"""The `RayCluster` of the guide has the fields that KubeRay documents, and no others. Nothing here asks a Kubernetes cluster."""

from pathlib import Path

import yaml
from guide import File, steps
from jsonschema import Draft202012Validator

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "run-on-a-cluster.md"


def fields(required, **known):
    return {"type": "object", "additionalProperties": False, "required": required, "properties": known}


TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}
AMOUNTS = fields(["cpu", "memory"], cpu=TEXT, memory=TEXT)
CONTAINER = fields(
    ["name", "image"], name=TEXT, image=TEXT, resources=fields([], requests=AMOUNTS, limits=AMOUNTS)
)
TEMPLATE = fields(
    ["spec"], spec=fields(["containers"], containers={"type": "array", "minItems": 1, "items": CONTAINER})
)
PARAMETERS = {
    "type": "object",
    "additionalProperties": TEXT,
}  # a map of texts: `num-cpus: 0` would be refused
GROUP = fields(
    ["groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"],
    groupName=TEXT, replicas=COUNT, minReplicas=COUNT, maxReplicas=COUNT, rayStartParams=PARAMETERS, template=TEMPLATE,
)  # fmt: skip
RAY_CLUSTER = fields(  # https://ray-project.github.io/kuberay/reference/api/ and apis/ray/v1/raycluster_types.go
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "ray.io/v1"}, kind={"const": "RayCluster"}, metadata=fields(["name"], name=TEXT),
    spec=fields(
        ["headGroupSpec"],
        rayVersion={"type": "string", "pattern": r"^2\.(5[2-9]|[6-9]\d)\.\d+$"},  # tokens came with 2.52
        authOptions=fields(["mode"], mode={"enum": ["token"]}),
        headGroupSpec=fields(["rayStartParams", "template"], rayStartParams=PARAMETERS, template=TEMPLATE),
        workerGroupSpecs={"type": "array", "items": GROUP},
    ),
)  # fmt: skip


def test_the_cluster_of_the_guide_has_the_fields_that_kuberay_knows():
    (text,) = [
        step.text for step in steps(GUIDE) if isinstance(step, File) and step.path == "raycluster.yaml"
    ]
    cluster = yaml.safe_load(text)
    assert [error.message for error in Draft202012Validator(RAY_CLUSTER).iter_errors(cluster)] == []
    spec = cluster["spec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    images = [one["image"] for group in groups for one in group["template"]["spec"]["containers"]]
    assert len(set(images)) == 1  # all nodes need the same versions
    assert f"FROM rayproject/ray:{spec['rayVersion']}-py3" in GUIDE.read_text("utf-8")
