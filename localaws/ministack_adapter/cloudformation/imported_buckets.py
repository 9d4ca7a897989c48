"""A change set may import a bucket that is there (ImportExistingResources): its name is then no conflict.

MiniStack plans the import, and refuses it before it begins, since the name is taken.
"""

from __future__ import annotations

from contextvars import ContextVar
from types import ModuleType
from typing import Any

Document = dict[str, Any]

_IMPORTED: ContextVar[frozenset[str]] = ContextVar("imported buckets", default=frozenset())
_DEPLOY, _CONFLICT = "_deploy_stack_async", "s3_bucket_name_conflict"


def register(stacks: ModuleType) -> None:
    from ministack.services.cloudformation import provisioners

    deploy, conflict = stacks.__dict__[_DEPLOY], provisioners.__dict__[_CONFLICT]

    async def deploy_stack(*arguments: Any, imports: dict[str, Document] | None = None, **named: Any) -> Any:
        taken_up = frozenset(str(each["BucketName"]) for each in (imports or {}).values() if "BucketName" in each)
        token = _IMPORTED.set(taken_up)
        try:
            return await deploy(*arguments, imports=imports, **named)
        finally:
            _IMPORTED.reset(token)

    def bucket_name_conflict(name: str) -> str | None:
        return None if name in _IMPORTED.get() else conflict(name)

    stacks.__dict__[_DEPLOY] = deploy_stack
    provisioners.__dict__[_CONFLICT] = bucket_name_conflict
