"""The few AWS calls that our Terraform makes and moto lacks, added to moto from outside. For tests only.

Each remembers what it is told, gives it back and forgets it when told to; none decides anything. What is here says
nothing about AWS itself: the tests must not draw conclusions from it beyond "Terraform asked for this".
"""

import itertools
import json
from typing import Any

from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.core.responses import ActionResult
from moto.elasticache.exceptions import CacheClusterNotFound
from moto.elasticache.responses import ElastiCacheResponse
from moto.rds.models import DBInstance

_moto_list_tags_for_resource = ElastiCacheResponse.list_tags_for_resource
_moto_make_database = DBInstance.__init__
_databases = itertools.count(1)
_parameter_groups: dict[str, dict[str, Any]] = {}
_parameters: dict[str, dict[str, str]] = {}


def _make_database(self: DBInstance, *given: Any, **named: Any) -> None:
    """With an identity of its own; moto's all have the same one."""
    _moto_make_database(self, *given, **named)
    self.dbi_resource_id = f"db-{next(_databases):026}"


def _create_cache_parameter_group(self: ElastiCacheResponse) -> ActionResult:
    name = self._get_param("CacheParameterGroupName")
    _parameters[name] = {}
    _parameter_groups[name] = {
        "CacheParameterGroupName": name,
        "CacheParameterGroupFamily": self._get_param("CacheParameterGroupFamily"),
        "Description": self._get_param("Description"),
        "IsGlobal": False,
        "ARN": f"arn:aws:elasticache:{self.region}:{self.current_account}:parametergroup:{name}",
    }
    return ActionResult({"CacheParameterGroup": _parameter_groups[name]})


def _modify_cache_parameter_group(self: ElastiCacheResponse) -> ActionResult:
    name = self._get_param("CacheParameterGroupName")
    for pair in self._get_param("ParameterNameValues", []):
        _parameters[name][pair["ParameterName"]] = pair["ParameterValue"]
    return ActionResult({"CacheParameterGroupName": name})


def _describe_cache_parameter_groups(self: ElastiCacheResponse) -> ActionResult:
    name = self._get_param("CacheParameterGroupName")
    return ActionResult({"CacheParameterGroups": [_parameter_groups[name]] if name else [*_parameter_groups.values()]})


def _describe_cache_parameters(self: ElastiCacheResponse) -> ActionResult:
    parameters = _parameters[self._get_param("CacheParameterGroupName")]
    return ActionResult(
        {"Parameters": [{"ParameterName": name, "ParameterValue": value} for name, value in parameters.items()]}
    )


def _delete_cache_parameter_group(self: ElastiCacheResponse) -> ActionResult:
    name = self._get_param("CacheParameterGroupName")
    del _parameter_groups[name], _parameters[name]
    return ActionResult({})


def _delete_cache_subnet_group(self: ElastiCacheResponse) -> ActionResult:
    del self.elasticache_backend.cache_subnet_groups[self._get_param("CacheSubnetGroupName")]
    return ActionResult({})


def _delete_replication_group(self: ElastiCacheResponse) -> ActionResult:
    """moto's own stays at "deleting" for ever."""
    group = self.elasticache_backend.replication_groups.pop(self._get_param("ReplicationGroupId"))
    return ActionResult({"ReplicationGroup": {"ReplicationGroupId": group.replication_group_id, "Status": "deleting"}})


def _list_tags_for_resource(self: ElastiCacheResponse) -> ActionResult:
    if ":parametergroup:" in self._get_param("ResourceName"):
        return ActionResult({"TagList": []})
    return _moto_list_tags_for_resource(self)


def _describe_cache_clusters(self: ElastiCacheResponse) -> ActionResult:
    """Members of replication groups; clusters that stand alone are not ours."""
    asked = self._get_param("CacheClusterId")
    members = [
        _member(group, member)
        for group in self.elasticache_backend.describe_replication_groups()
        for member in group.member_clusters
        if asked in {None, member}
    ]
    if asked and not members:
        raise CacheClusterNotFound(asked)
    return ActionResult({"CacheClusters": members})


def _member(group: Any, member: str) -> dict[str, Any]:
    return {
        "CacheClusterId": member,
        "CacheClusterStatus": "available",
        "ReplicationGroupId": group.replication_group_id,
        "CacheNodeType": group.cache_node_type,
        "Engine": group.engine,
        "EngineVersion": group.engine_version,
        "NumCacheNodes": 1,
        "CacheParameterGroup": {"CacheParameterGroupName": group.cache_parameter_group_name},
        "CacheSubnetGroupName": group.cache_subnet_group_name,
        "SecurityGroups": [{"SecurityGroupId": name, "Status": "active"} for name in group.security_group_ids],
        "AtRestEncryptionEnabled": group.at_rest_encryption_enabled,
        "TransitEncryptionEnabled": group.transit_encryption_enabled,
        "AuthTokenEnabled": group.auth_token_enabled,
    }


def _list_no_tags(self: ApplicationAutoScalingResponse) -> str:
    return json.dumps({"Tags": {}})


_ELASTICACHE = {
    # Parameter groups are not there at all.
    "create_cache_parameter_group": _create_cache_parameter_group,
    "delete_cache_parameter_group": _delete_cache_parameter_group,
    "modify_cache_parameter_group": _modify_cache_parameter_group,
    "describe_cache_parameter_groups": _describe_cache_parameter_groups,
    "describe_cache_parameters": _describe_cache_parameters,
    "list_tags_for_resource": _list_tags_for_resource,
    # A replication group names members that cannot be looked up.
    "describe_cache_clusters": _describe_cache_clusters,
    # What can be made cannot be deleted again.
    "delete_cache_subnet_group": _delete_cache_subnet_group,
    "delete_replication_group": _delete_replication_group,
}
_AUTOSCALING = {
    # Targets are made, but their tags cannot be read.
    "list_tags_for_resource": _list_no_tags,
}


def fill() -> None:
    """Add the missing calls to moto in this process."""
    for name, call in _ELASTICACHE.items():
        setattr(ElastiCacheResponse, name, call)
    for name, answer in _AUTOSCALING.items():
        setattr(ApplicationAutoScalingResponse, name, answer)
    DBInstance.__init__ = _make_database  # type: ignore[method-assign]  # as for the others
